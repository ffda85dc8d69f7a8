#pragma once
// Picks the base model: a table of what was found in the model folders (architecture, parameters, dtype, size, tokenizer,
// problems), read from headers alone by the helper, and the model's options. Asks nothing itself; the view scans. GUI
// thread.

#include <QWidget>
#include <vector>

#include "ui/newrun/answers.h"

class QLabel;
class QPushButton;
class QStandardItemModel;
class QTableView;

namespace rankscope::ui {

class OptionField;
class OptionForm;
class RunDraft;

class ModelPage : public QWidget {
  Q_OBJECT

 public:
  explicit ModelPage(RunDraft* draft, QWidget* parent = nullptr);
  void setScanning(bool scanning);
  // Paths as the config names them ("starter:…", "models:…").
  void setModels(std::vector<ModelCard> cards, const QStringList& folders);
  void setScanFailed(const QString& message);
  OptionForm* form() const { return m_form; }
  QTableView* table() const { return m_table; }

 Q_SIGNALS:
  void rescanAsked();
  void addFolderAsked();
  void libraryAsked();
  void focused(OptionField* field);

 private:
  void showCurrent();
  void fitColumns();

  RunDraft* m_draft;
  QStandardItemModel* m_items;
  QTableView* m_table;
  QLabel* m_state;
  QPushButton* m_rescan;
  OptionForm* m_form;
  std::vector<ModelCard> m_cards;
  QStringList m_folders;
  bool m_selecting = false;
};

}  // namespace rankscope::ui

#pragma once
// The model's matrices, layer by kind, to tick and to give ranks of their own; writes method.target_modules,
// method.layers and method.rank_pattern. GUI thread.

#include <QWidget>

#include "ui/newrun/answers.h"

class QLabel;
class QPushButton;
class QTableView;
class QToolButton;

namespace rankscope::ui {

class RunDraft;
class SiteTableModel;

class SitesPanel : public QWidget {
  Q_OBJECT

 public:
  explicit SitesPanel(RunDraft* draft, QWidget* parent = nullptr);
  void setModel(const ModelDetails& details);
  void clearModel(const QString& message);
  SiteTableModel* model() const { return m_model; }
  QTableView* table() const { return m_table; }

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void readDraft();
  void writeDraft();
  void showSummary();
  void takeTargets();

  RunDraft* m_draft;
  SiteTableModel* m_model;
  QTableView* m_table;
  QLabel* m_summary;
  QLabel* m_error;
  QToolButton* m_revert;
  QPushButton* m_all;
  QPushButton* m_default;
  ModelDetails m_details;
  std::string m_targetsOf;  // the method whose usual targets are shown
  QString m_message, m_rejected;
  bool m_writing = false;
};

}  // namespace rankscope::ui

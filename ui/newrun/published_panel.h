#pragma once
// Settings that the chosen method was published with (core/config/published_settings.h): what each would change in this
// draft, and a button that does it, in one step back. Folded under one line until it is opened. GUI thread.

#include <QWidget>
#include <functional>
#include <string>
#include <vector>

#include "core/config/published_settings.h"
#include "ui/newrun/run_draft.h"

class QToolButton;
class QVBoxLayout;

namespace rankscope::ui {

class PublishedPanel : public QWidget {
  Q_OBJECT

 public:
  // `hasMatrix`: whether the model has a matrix that a target means; also true while no model is known.
  PublishedPanel(RunDraft* draft, std::function<bool(const std::string& target)> hasMatrix, QWidget* parent = nullptr);
  ~PublishedPanel() override;
  void refresh();

 private:
  struct Row;
  void makeRows();
  void showRow(const Row& row) const;
  // The edits that the settings ask for. The adapted matrices stay when the model has not all that are named: those are
  // added to `absent`.
  RunDraft::Edits editsOf(const PublishedSettings& settings, QStringList& absent) const;

  RunDraft* m_draft;
  std::function<bool(const std::string&)> m_hasMatrix;
  QToolButton* m_fold;
  QWidget* m_list;
  QVBoxLayout* m_column;
  std::string m_method;
  std::vector<Row> m_rows;
};

}  // namespace rankscope::ui

#pragma once
// Compare: "which is better, and why?" The selected runs as curves, by their differences, against the rank, and as the table
// of a paper. The list at the left says which runs take part and in which colour. GUI thread; data through the store service.

#include "ui/compare/compare_data.h"
#include "ui/shell/view.h"

class QLabel;
class QListWidget;
class QSplitter;
class QStackedWidget;
class QTabWidget;

namespace rankscope::ui {

class CurvesTab;
class DifferencesTab;
class PaperTab;
class RankTab;

class CompareView : public View {
  Q_OBJECT
 public:
  static constexpr int kMostRuns = 200;
  explicit CompareView(ViewContext& context, QWidget* parent = nullptr);

  void onActivated() override;
  void onDeactivated() override;
  void open(const QJsonObject& request) override;  // {"runs": [ids]}
  QJsonObject saveState() const override;
  void restoreState(const QJsonObject& state) override;

  const std::vector<ComparedRun>& runs() const { return m_runs; }
  CurvesTab* curves() const { return m_curves; }
  PaperTab* paper() const { return m_paper; }
  RankTab* againstRank() const { return m_rank; }
  DifferencesTab* differences() const { return m_differences; }

 private:
  void setIds(const QStringList& ids);
  void load();
  void fillList();
  void runsToTabs();
  void selectFew(const std::function<bool(const ComparedRun&)>& keep);

  QStringList m_ids;
  QHash<QString, bool> m_hidden;
  std::vector<ComparedRun> m_runs;
  QStackedWidget* m_pages;
  QSplitter* m_splitter;
  QListWidget* m_list;
  QLabel* m_listTitle;
  QTabWidget* m_tabs;
  CurvesTab* m_curves;
  DifferencesTab* m_differences;
  RankTab* m_rank;
  PaperTab* m_paper;
  bool m_active = false, m_filling = false;
};

}  // namespace rankscope::ui

#pragma once
// Live: "is it going well?" Follows one run's event log (never the store: the log is 200 ms old at most), shows its plots,
// progress, log, samples and errors, and carries wishes to the trainer. Events arrive in batches from RunFeed's thread and
// are drawn at most about ten times a second. GUI thread.

#include <QElapsedTimer>
#include <QTimer>
#include <memory>

#include "ui/live/run_feed.h"
#include "ui/live/run_history.h"
#include "ui/shell/view.h"

class QBoxLayout;
class QLabel;
class QProgressBar;
class QPushButton;
class QSplitter;
class QTabWidget;

namespace rankscope::ui {

class ErrorPanel;
class LivePlots;
class LogPanel;
class RunChooser;
class RunControls;
class RunExchange;
class SamplesPanel;

class LiveView : public View {
  Q_OBJECT

 public:
  explicit LiveView(ViewContext& context, QWidget* parent = nullptr);
  ~LiveView() override;

  void onActivated() override;
  void onDeactivated() override;
  // {"run": id} shows it; with "starting" its folder may still be on the way.
  void open(const QJsonObject& request) override;
  QJsonObject saveState() const override;
  void restoreState(const QJsonObject& state) override;

  const RunHistory& history() const { return m_history; }
  LivePlots* plots() const { return m_plots; }
  RunControls* controls() const { return m_controls; }
  LogPanel* log() const { return m_log; }
  const QString& runId() const { return m_run; }

 private:
  void buildHeader(QBoxLayout* column);
  void setRun(const QString& id);
  void chooseDefault();
  void redraw();        // coalesced
  void showHeader();
  void resume();
  // live_problems.cpp
  void showError();
  void readLastWords();
  void checkStarting();

  RunFeed* m_feed;
  RunHistory m_history;
  QString m_run, m_feedProblem, m_lastWords;
  std::optional<Liveness> m_liveness;
  bool m_starting = false, m_loaded = false, m_wordsRead = false;
  double m_startAsked = 0;
  QTimer m_redraw, m_clock;
  QElapsedTimer m_sinceRedraw;

  RunChooser* m_runs = nullptr;
  QLabel *m_icon = nullptr, *m_state = nullptr, *m_progressText = nullptr, *m_figures = nullptr;
  QProgressBar* m_progress = nullptr;
  RunControls* m_controls = nullptr;
  RunExchange* m_exchange = nullptr;
  QPushButton* m_save = nullptr;
  ErrorPanel* m_error = nullptr;
  LivePlots* m_plots = nullptr;
  LogPanel* m_log = nullptr;
  SamplesPanel* m_samples = nullptr;
  QTabWidget* m_tabs = nullptr;
  QSplitter* m_split = nullptr;
};

}  // namespace rankscope::ui

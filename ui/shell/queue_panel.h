#pragma once
// The queue: what runs, what waits and in which order, what has ended. Moves, holds, cancels and retries jobs in the store
// and starts the runner, a detached process that goes on when this program ends. GUI thread only.

#include "ui/shell/queue_model.h"
#include "ui/shell/view.h"

#include <QSet>

class QLabel;
class QTableView;

namespace rankscope {
class Store;
}

namespace rankscope::ui {

struct QueueSummary {
  int running = 0, waiting = 0, held = 0, failed = 0;
};

class QueuePanel : public QWidget {
  Q_OBJECT
 public:
  QueuePanel(ViewContext& context, QWidget* parent);
  const QueueSummary& summary() const { return m_summary; }
  QueueModel* model() const { return m_model; }

 public Q_SLOTS:
  void refresh();
  void startRunner();

 Q_SIGNALS:
  void summaryChanged();
  void openRun(const QString& runId);
  void resultAsked(const Job& job);  // to show what it made, or why it failed
  void jobEnded(const Job& job);     // while this window stood open
  void statusMessage(const QString& text);

 private:
  using JobWrite = std::function<Result<void>(Store&, int64_t id)>;
  void apply(const JobWrite& write, const QString& done);
  void move(int by);
  void updateActions();
  void announceEnded(const std::vector<Job>& jobs);
  void openCurrent();
  const Job* current() const;
  QAction* addAction(const QString& text, const QString& iconName, const QKeySequence& shortcut, std::function<void()> run);

  ViewContext& m_context;
  QueueModel* m_model;
  QTableView* m_table;
  QLabel* m_headline;
  QLabel* m_empty;
  QueueSummary m_summary;
  qint64 m_selectedId = -1;
  QSet<qint64> m_going;    // waited or ran when last looked at
  qint64 m_newestId = -1;  // -1: not yet looked
  QAction *m_start, *m_up, *m_down, *m_hold, *m_cancel, *m_retry, *m_remove, *m_open, *m_result;
};

}  // namespace rankscope::ui

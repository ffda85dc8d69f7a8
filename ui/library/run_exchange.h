#pragma once
// Ways in and out for runs, the same from every view: asks (output_dialog.h, import_dialog.h), puts the job into the queue
// beside the training runs, and starts its runner. The job belongs to the runner, a process of its own; its end is told
// by the window (ui/shell/job_result.h). GUI thread.

#include <QObject>

#include "ui/library/run_output.h"
#include "ui/shell/view.h"

namespace rankscope::ui {

class RunExchange : public QObject {
  Q_OBJECT

 public:
  explicit RunExchange(ViewContext& context, QWidget* window);
  void saveResult(const QString& runId, OutputKind kind = OutputKind::Merged);
  void importAdapter(const QString& adapter = {});
  void evaluate(const QString& runId);

 Q_SIGNALS:
  void said(const QString& text);  // for the status bar
  void queued();

 private:
  template <typename Subject, typename Fill, typename Show>
  void readAnd(const QString& runId, const char* slot, Fill fill, Show show);
  template <typename Dialog, typename Wish>
  void ask(Dialog* dialog, JobSpec (*job)(const Wish&, const std::string&));
  void queue(const JobSpec& job);

  ViewContext& m_context;
  QWidget* m_window;
};

}  // namespace rankscope::ui

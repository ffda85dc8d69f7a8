#pragma once
// `rankscope-train spectrum RUN` as a process of ours, with progress and cancel: the result is written into the run's
// folder by rename, so a cancelled or killed job leaves nothing half done. GUI thread; never waits.

#include <QObject>
#include <QProcess>
#include <filesystem>
#include <memory>

#include "core/config/result.h"

namespace rankscope::ui {

class SpectrumJob : public QObject {
  Q_OBJECT

 public:
  SpectrumJob(QString program, std::filesystem::path home, QObject* parent = nullptr);
  ~SpectrumJob() override;
  void start(const QString& runId);
  void cancel();
  bool running() const { return m_process != nullptr; }
  const QString& runId() const { return m_runId; }

 Q_SIGNALS:
  void progress(int done, int total, const QString& what);
  void finished(const QString& runId);
  void failed(const QString& runId, const QString& message);
  void cancelled();

 private:
  void readProgress();
  void ended(int exitCode, bool crashed);

  QString m_program, m_runId;
  std::filesystem::path m_home;
  std::unique_ptr<QProcess> m_process;
  QByteArray m_lines, m_lastWords;
  bool m_cancelled = false;
};

}  // namespace rankscope::ui

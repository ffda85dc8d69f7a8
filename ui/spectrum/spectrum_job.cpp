#include "ui/spectrum/spectrum_job.h"

#include <QJsonDocument>
#include <QJsonObject>
#include <QTimer>

namespace rankscope::ui {
namespace {

constexpr qsizetype kLastWords = 4096;

}  // namespace

SpectrumJob::SpectrumJob(QString program, std::filesystem::path home, QObject* parent)
    : QObject(parent), m_program(std::move(program)), m_home(std::move(home)) {}

SpectrumJob::~SpectrumJob() {
  if (!m_process) return;
  m_process->disconnect(this);
  m_process->kill();
  m_process->waitForFinished(200);
}

void SpectrumJob::start(const QString& runId) {
  if (m_process) return;
  m_runId = runId;
  m_cancelled = false;
  m_lines.clear();
  m_lastWords.clear();
  m_process = std::make_unique<QProcess>();
  connect(m_process.get(), &QProcess::readyReadStandardError, this, &SpectrumJob::readProgress);
  connect(m_process.get(), &QProcess::finished, this,
          [this](int code, QProcess::ExitStatus status) { ended(code, status == QProcess::CrashExit); });
  connect(m_process.get(), &QProcess::errorOccurred, this, [this](QProcess::ProcessError error) {
    if (error != QProcess::FailedToStart) return;
    m_process.release()->deleteLater();
    Q_EMIT failed(m_runId, tr("%1 could not be started. Reinstall Rankscope, or point RANKSCOPE_TRAIN at the program.")
                               .arg(m_program));
  });
  m_process->setStandardOutputFile(QProcess::nullDevice());
  m_process->start(m_program, {"--home", QString::fromStdString(m_home.string()), "spectrum", runId});
  Q_EMIT progress(0, 0, {});
}

void SpectrumJob::cancel() {
  if (!m_process) return;
  m_cancelled = true;
  m_process->terminate();
  QTimer::singleShot(2000, m_process.get(), [process = m_process.get()] { process->kill(); });
}

void SpectrumJob::readProgress() {
  const QByteArray fresh = m_process->readAllStandardError();
  m_lines += fresh;
  qsizetype end = 0;
  while ((end = m_lines.indexOf('\n')) >= 0) {
    const QByteArray line = m_lines.left(end);
    m_lines.remove(0, end + 1);
    const auto document = QJsonDocument::fromJson(line).object();
    if (document.contains("progress")) {
      const auto said = document.value("progress").toObject();
      Q_EMIT progress(said.value("done").toInt(), said.value("total").toInt(), said.value("what").toString());
    } else {
      m_lastWords = (m_lastWords + line + '\n').right(kLastWords);
    }
  }
  if (m_lines.size() > kLastWords) m_lines.clear();
}

void SpectrumJob::ended(int exitCode, bool crashed) {
  readProgress();
  m_process.release()->deleteLater();
  if (m_cancelled) {
    Q_EMIT cancelled();
  } else if (exitCode == 0 && !crashed) {
    Q_EMIT finished(m_runId);
  } else {
    const auto words = QString::fromUtf8(m_lastWords).trimmed();
    Q_EMIT failed(m_runId, !words.isEmpty() ? words
                           : crashed ? tr("The computation ended by a crash. Run `rankscope-train spectrum %1` in a terminal "
                                          "to see why.").arg(m_runId)
                                     : tr("The computation ended with code %1.").arg(exitCode));
  }
}

}  // namespace rankscope::ui

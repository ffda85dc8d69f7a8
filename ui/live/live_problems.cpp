// What Live says when a run failed, died without a word, or did not start (live_view.h).
#include <QtConcurrent>
#include <fstream>

#include "core/runlog/run_folder.h"
#include "ui/live/error_panel.h"
#include "ui/live/live_view.h"
#include "ui/shell/store_service.h"

namespace rankscope::ui {
namespace {

constexpr double kStartPatience = 20;  // s until a run that was started without making its folder is a failure
constexpr std::streamoff kLastWords = 4000;

// The end of a text file, from a full line on; empty when there is none. For a worker thread.
QString tailOf(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return {};
  in.seekg(0, std::ios::end);
  const std::streamoff size = in.tellg();
  in.seekg(std::max<std::streamoff>(0, size - kLastWords));
  std::string bytes(static_cast<size_t>(std::min(size, kLastWords)), '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  QString text = QString::fromUtf8(bytes.data(), static_cast<qsizetype>(bytes.size())).trimmed();
  if (size > kLastWords) text = text.section('\n', 1);
  return text.section('\n', -12);
}

}  // namespace

void LiveView::showError() {
  const bool dead = m_liveness && *m_liveness == Liveness::Dead && !m_history.ended();
  if (m_history.error()) {
    m_error->setError(*m_history.error(), m_history.errorStep());
  } else if (dead) {
    if (!m_wordsRead) readLastWords();
    m_error->setError(Error{ErrorCode::Interrupted, tr("The trainer ended without saying why").toStdString(), {}, {}, {},
                            tr("It was killed, ran out of memory, or the machine went down. Everything up to the last event is "
                               "here; Resume goes on from the newest checkpoint.").toStdString()},
                      0, m_lastWords);
  } else if (!m_feedProblem.isEmpty()) {
    m_error->setError(Error{ErrorCode::BadInput, m_feedProblem.toStdString(), {}, {}, {}, {}}, 0);
  } else {
    m_error->clear();
  }
}

void LiveView::readLastWords() {
  m_wordsRead = true;
  const QString run = m_run;
  const auto file = RunFolder(store().runFolder(run)).stderrFile();
  const auto log = store().runsFolder().parent_path() / "logs" / ("train-" + run.left(8).toStdString() + ".log");
  QtConcurrent::run([file, log] {
    const auto words = tailOf(file);
    return words.isEmpty() ? tailOf(log) : words;
  }).then(this, [this, run](const QString& words) {
    if (run != m_run) return;
    m_lastWords = words;
    if (m_starting || m_error->isVisible()) {
      if (m_starting) {
        m_starting = false;
        m_error->setError(Error{ErrorCode::Training, tr("The run did not start").toStdString(), {}, {}, {},
                                tr("What the trainer printed is below. Correct it in New run and press Start again.").toStdString()},
                          0, m_lastWords);
        showHeader();
      } else {
        showError();
      }
    }
  });
}

void LiveView::checkStarting() {
  if (!m_starting || m_loaded || event::unixTime() - m_startAsked < kStartPatience) return;
  if (!m_wordsRead) readLastWords();
}

}  // namespace rankscope::ui

#include "ui/live/run_feed.h"

#include <QMetaObject>
#include <QPointer>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "core/runlog/event_log.h"
#include "core/runlog/run_folder.h"

namespace rankscope::ui {
namespace {

using namespace std::chrono_literals;
constexpr auto kPoll = 40ms;         // step to pixel within 300 ms: the writer takes up to 200 of them
constexpr auto kIdlePoll = 500ms;    // a run that has ended
constexpr auto kLivenessEvery = 1s;
constexpr size_t kBatchBytes = size_t{4} << 20;

}  // namespace

struct RunFeed::Shared {
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false, paused = false;
  // Waits; true when the thread shall end.
  bool sleep(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, time, [this] { return stop; });
    wake.wait(lock, [this] { return stop || !paused; });
    return stop;
  }
  bool stopping() {
    const std::lock_guard lock(mutex);
    return stop;
  }
};

RunFeed::RunFeed(QObject* parent) : QObject(parent) {}

RunFeed::~RunFeed() { stop(); }

void RunFeed::stop() {
  if (!m_thread) return;
  {
    const std::lock_guard lock(m_shared->mutex);
    m_shared->stop = true;
  }
  m_shared->wake.notify_all();
  m_thread->wait();
  m_thread.reset();
  m_shared.reset();
  m_runId.clear();
}

void RunFeed::setPaused(bool paused) {
  m_paused = paused;
  if (!m_shared) return;
  {
    const std::lock_guard lock(m_shared->mutex);
    m_shared->paused = paused;
  }
  m_shared->wake.notify_all();
}

void RunFeed::follow(const QString& runId, const std::filesystem::path& folder) {
  stop();
  m_runId = runId;
  m_shared = std::make_shared<Shared>();
  m_shared->paused = m_paused;
  m_thread.reset(QThread::create([this, shared = m_shared, folder] { work(this, shared, folder); }));
  m_thread->setObjectName("run-feed");
  m_thread->start();
}

// Runs on the feed's thread. The feed outlives it: stop() waits. Calls into the GUI thread are checked there against the
// run that is followed by then.
void RunFeed::work(RunFeed* feed, std::shared_ptr<Shared> shared, std::filesystem::path folder) {
  const auto deliver = [feed, shared](auto call) {
    QMetaObject::invokeMethod(feed, [feed, shared, call] {
      if (feed->m_shared == shared) call();
    }, Qt::QueuedConnection);
  };
  const auto file = RunFolder(folder).eventsFile();
  std::optional<EventReader> reader;
  bool complained = false, historyDone = false, ended = false;
  Liveness liveness = Liveness::Absent;
  bool livenessKnown = false;
  auto livenessAt = std::chrono::steady_clock::time_point{};
  while (!shared->stopping()) {
    if (const auto now = std::chrono::steady_clock::now(); now - livenessAt >= kLivenessEvery) {
      livenessAt = now;
      const auto found = runLiveness(folder);
      if (found != liveness || !livenessKnown) {
        liveness = found;
        livenessKnown = true;
        deliver([feed, found] { Q_EMIT feed->livenessChanged(found); });
      }
    }
    if (!reader) {
      std::error_code absent;
      if (!std::filesystem::exists(file, absent)) {
        if (shared->sleep(kPoll)) return;
        continue;
      }
      auto opened = EventReader::open(file);
      if (!opened.ok()) {
        // A log that is only just being made has no beginning yet.
        if (!complained && std::filesystem::file_size(file, absent) >= 8) {
          complained = true;
          const auto text = QString::fromStdString(opened.error().message());
          deliver([feed, text] { Q_EMIT feed->failed(text); });
        }
        if (shared->sleep(kIdlePoll)) return;
        continue;
      }
      reader.emplace(std::move(*opened));
      historyDone = false;
    }
    auto history = historyDone ? nullptr : std::make_shared<RunHistory>();
    auto batch = std::make_shared<std::vector<event::Event>>();
    LogTail tail = LogTail::More;
    while (tail == LogTail::More && !shared->stopping()) {
      const auto read = reader->read([&](const EventRecord& record) {
        auto parsed = event::parseEvent(record.payload);
        if (!parsed.ok()) return true;  // one odd event must not hide the others
        if (const auto* end = std::get_if<event::End>(&parsed->body)) ended = end != nullptr;
        if (std::holds_alternative<event::Start>(parsed->body)) ended = false;
        if (history) {
          history->apply(*parsed);
        } else {
          batch->push_back(std::move(*parsed));
        }
        return true;
      }, kBatchBytes);
      if (!read.ok()) {
        const auto text = QString::fromStdString(read.error().message());
        deliver([feed, text] { Q_EMIT feed->failed(text); });
        tail = LogTail::Damaged;
        break;
      }
      tail = *read;
    }
    if (tail == LogTail::Replaced) {
      reader.reset();
      continue;
    }
    if (tail == LogTail::Damaged && !complained) {
      complained = true;
      const auto text = QObject::tr("The run's log is damaged after event %1; what is before it is shown. Resume the run to "
                                    "repair its log.").arg(reader->cursor().sequence);
      deliver([feed, text] { Q_EMIT feed->failed(text); });
    }
    if (history) {
      historyDone = true;
      deliver([feed, history] { Q_EMIT feed->loaded(history); });
    } else if (!batch->empty()) {
      deliver([feed, batch] { Q_EMIT feed->arrived(batch); });
    }
    if (shared->sleep(ended ? kIdlePoll : kPoll)) return;
  }
}

}  // namespace rankscope::ui

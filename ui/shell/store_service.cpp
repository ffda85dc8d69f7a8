#include "ui/shell/store_service.h"

#include "core/store/ingest.h"
#include "core/store/store.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QHash>
#include <QThread>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace rankscope::ui {

namespace {

constexpr int kReaders = 2;
constexpr auto kLiveTick = std::chrono::milliseconds(200);   // while something trains
constexpr auto kIdleTick = std::chrono::milliseconds(1000);  // otherwise: new folders, writes of other programs
constexpr auto kRetry = std::chrono::milliseconds(2000);     // a store that could not be opened

// The states that only a living process can be in (RunRow::live), as a filter.
constexpr const char* kLiveFilter =
    "status = loading or status = running or status = paused or status = evaluating or status = checkpointing or "
    "status = sampling";

QString text(const Error& error) { return QString::fromStdString(error.message()); }

QStringList toList(const std::vector<std::string>& ids) {
  QStringList list;
  list.reserve(static_cast<qsizetype>(ids.size()));
  for (const std::string& id : ids) list.push_back(QString::fromStdString(id));
  return list;
}

}  // namespace

// What the threads and the GUI share; outlives the service while a thread still ends.
struct StoreService::Shared {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Task> reads, writes;
  bool tried = false;  // the writer has made or opened the store, or has found that it cannot: readers wait for that
  bool stopping = false, ingestAsked = false;
  Error absent;  // why there is no store, once tried
  std::atomic<int> inFlight{0};

  std::mutex tokenMutex;
  QHash<QPair<QObject*, QByteArray>, quint64> newest;
  quint64 nextToken = 1;
};

class StoreService::Worker {
 public:
  Worker(StoreService* service, Lane lane) : m_service(service), m_shared(service->m_shared), m_lane(lane) {
    m_thread = std::thread([this] { m_lane == Lane::Write ? writerLoop() : readerLoop(); });
  }
  ~Worker() {
    if (m_thread.joinable()) m_thread.join();
  }

 private:
  void announce(std::function<void()> call) {
    QMetaObject::invokeMethod(m_service, std::move(call), Qt::QueuedConnection);
  }

  void execute(const Task& task, Store* store, const Error& absent) {
    if (m_service->superseded(task)) {
      m_service->deliver(task, {});
      return;
    }
    std::function<void()> call;
    try {
      call = task.run(store, absent);
    } catch (const std::exception& e) {
      // The store reports expected failures as values; what arrives here is running out of memory and the like.
      call = task.run(nullptr, Error{ErrorCode::Internal, "reading the run store failed", m_service->m_storeFile.string(),
                                     e.what(), "", "Close what needs much memory and try again."});
    }
    m_service->deliver(task, std::move(call));
  }

  void readerLoop() {
    std::unique_ptr<Store> store;
    Error absent;
    for (;;) {
      Task task;
      {
        std::unique_lock lock(m_shared->mutex);
        m_shared->wake.wait(lock, [this] { return m_shared->stopping || (m_shared->tried && !m_shared->reads.empty()); });
        if (m_shared->stopping) return;
        task = std::move(m_shared->reads.front());
        m_shared->reads.pop_front();
        absent = m_shared->absent;
      }
      if (!store) {
        auto opened = Store::open(m_service->m_storeFile, Store::Mode::ReadOnly);
        if (opened.ok())
          store = std::move(*opened);
        else
          absent = opened.error();
      }
      execute(task, store.get(), absent);
    }
  }

  void writerLoop() {
    using Clock = std::chrono::steady_clock;
    std::unique_ptr<Store> store;
    auto nextOpen = Clock::now(), nextLook = Clock::now();
    bool firstLook = true;
    QString lastProblem;
    int64_t revision = -1;
    for (;;) {
      if (!store && Clock::now() >= nextOpen) {
        auto opened = Store::open(m_service->m_storeFile, Store::Mode::ReadWrite);
        if (opened.ok()) {
          store = std::move(*opened);
          {
            std::lock_guard lock(m_shared->mutex);
            m_shared->tried = true;
          }
          m_shared->wake.notify_all();
          announce([service = m_service] {
            service->m_open = true;
            Q_EMIT service->opened();
            Q_EMIT service->problemSolved();
            Q_EMIT service->runsChanged({});
            Q_EMIT service->queueChanged();
          });
          lastProblem.clear();
        } else {
          nextOpen = Clock::now() + kRetry;
          bool first = false;
          {
            std::lock_guard lock(m_shared->mutex);
            m_shared->absent = opened.error();
            // A store that is busy or read-only can still be read.
            first = !std::exchange(m_shared->tried, true);
          }
          m_shared->wake.notify_all();
          tell(lastProblem, text(opened.error()));
          if (first) announce([service = m_service] { Q_EMIT service->opened(); });
        }
      }

      Task task;
      bool haveTask = false, look = false;
      {
        std::unique_lock lock(m_shared->mutex);
        const auto until = store ? nextLook : nextOpen;
        m_shared->wake.wait_until(lock, until, [this] {
          return m_shared->stopping || !m_shared->writes.empty() || m_shared->ingestAsked;
        });
        if (m_shared->stopping && m_shared->writes.empty()) return;
        if (!m_shared->writes.empty()) {
          task = std::move(m_shared->writes.front());
          m_shared->writes.pop_front();
          haveTask = true;
        }
        look = m_shared->ingestAsked || Clock::now() >= nextLook;
        if (look && store) m_shared->ingestAsked = false;
      }
      if (haveTask) {
        Error absent;
        {
          std::lock_guard lock(m_shared->mutex);
          absent = m_shared->absent;
        }
        if (store) noticeOthers(*store, revision);
        execute(task, store.get(), absent);
        if (store) rememberRevision(*store, revision);
        announce([service = m_service] { Q_EMIT service->queueChanged(); });
      }
      if (look && store) {
        noticeOthers(*store, revision);
        ingest(*store, firstLook ? IngestScope::All : IngestScope::Active, firstLook, lastProblem);
        firstLook = false;
        rememberRevision(*store, revision);
        nextLook = Clock::now() + (m_live.isEmpty() ? kIdleTick : kLiveTick);
      }
    }
  }

  // Another program (the runner, the command line) wrote: rows and queue may be different.
  void noticeOthers(Store& store, int64_t& revision) {
    const auto now = store.revision();
    if (!now.ok() || *now == revision) return;
    const bool known = revision >= 0;
    revision = *now;
    if (!known) return;
    m_refreshLive = true;
    announce([service = m_service] {
      Q_EMIT service->queueChanged();
      Q_EMIT service->runsChanged({});
    });
  }
  static void rememberRevision(Store& store, int64_t& revision) {
    if (const auto now = store.revision(); now.ok()) revision = *now;
  }

  void ingest(Store& store, IngestScope scope, bool first, QString& lastProblem) {
    const IngestReport report = ingestRuns(store, m_service->m_runsFolder, scope);
    if (first || m_refreshLive || !report.changedIds.empty()) refreshLive(store);
    if (!report.changedIds.empty()) {
      announce([service = m_service, ids = toList(report.changedIds)] {
        Q_EMIT service->runsChanged(ids);
        for (const QString& id : ids) Q_EMIT service->seriesAppended(id, {});
      });
    }
    tell(lastProblem, report.problems.empty() ? QString() : text(report.problems.front()));
  }

  void refreshLive(Store& store) {
    m_refreshLive = false;
    RunQuery query;
    query.filter = kLiveFilter;
    query.limit = 1000;
    query.includeArchived = true;
    query.withMetrics = query.withSparkline = false;
    const auto ids = store.listRunIds(query);
    if (!ids.ok()) return;
    QStringList live = toList(*ids);
    if (live == m_live) return;
    m_live = live;
    announce([service = m_service, live] {
      service->m_liveRuns = live;
      Q_EMIT service->liveRunsChanged(live);
    });
  }

  void tell(QString& last, const QString& now) {
    if (now == last) return;
    last = now;
    announce([service = m_service, now] {
      if (now.isEmpty())
        Q_EMIT service->problemSolved();
      else
        Q_EMIT service->problem(now);
    });
  }

  StoreService* m_service;
  std::shared_ptr<Shared> m_shared;
  Lane m_lane;
  QStringList m_live;
  bool m_refreshLive = false;
  std::thread m_thread;
};

StoreService::StoreService(std::filesystem::path storeFile, std::filesystem::path runsFolder, QObject* parent)
    : QObject(parent), m_storeFile(std::move(storeFile)), m_runsFolder(std::move(runsFolder)),
      m_shared(std::make_shared<Shared>()) {
  m_workers.push_back(std::make_unique<Worker>(this, Lane::Write));
  for (int i = 0; i < kReaders; ++i) m_workers.push_back(std::make_unique<Worker>(this, Lane::Read));
}

StoreService::~StoreService() {
  {
    std::lock_guard lock(m_shared->mutex);
    m_shared->stopping = true;
    m_shared->reads.clear();
  }
  m_shared->wake.notify_all();
  m_workers.clear();
}

std::filesystem::path StoreService::runFolder(const QString& runId) const {
  return m_runsFolder / runId.toStdString();
}

void StoreService::post(Task task) {
  if (!task.slot.isEmpty()) {
    std::lock_guard lock(m_shared->tokenMutex);
    task.token = m_shared->nextToken++;
    m_shared->newest[{task.receiverKey, task.slot}] = task.token;
  }
  if (m_shared->inFlight.fetch_add(1) == 0) Q_EMIT busyChanged(true);
  {
    std::lock_guard lock(m_shared->mutex);
    (task.lane == Lane::Write ? m_shared->writes : m_shared->reads).push_back(std::move(task));
  }
  m_shared->wake.notify_all();
}

bool StoreService::superseded(const Task& task) const {
  if (task.slot.isEmpty()) return false;
  std::lock_guard lock(m_shared->tokenMutex);
  return m_shared->newest.value({task.receiverKey, task.slot}) != task.token;
}

// On a worker thread. The answer's last checks and its call happen on the GUI thread, where receivers live and die.
void StoreService::deliver(const Task& task, std::function<void()> call) {
  QMetaObject::invokeMethod(
      this,
      [this, receiver = task.receiver, key = task.receiverKey, slot = task.slot, token = task.token,
       call = std::move(call)] {
        bool current = call && receiver;
        if (!slot.isEmpty()) {
          std::lock_guard lock(m_shared->tokenMutex);
          const auto it = m_shared->newest.constFind({key, slot});
          const bool newest = it != m_shared->newest.constEnd() && *it == token;
          if (newest) m_shared->newest.remove({key, slot});
          current = current && newest;
        }
        if (current) call();
        if (m_shared->inFlight.fetch_sub(1) == 1) Q_EMIT busyChanged(false);
      },
      Qt::QueuedConnection);
}

void StoreService::drop(QObject* receiver, const QByteArray& slot) {
  std::lock_guard lock(m_shared->tokenMutex);
  m_shared->newest.remove({receiver, slot});
}

void StoreService::ingestNow() {
  {
    std::lock_guard lock(m_shared->mutex);
    m_shared->ingestAsked = true;
  }
  m_shared->wake.notify_all();
}

bool StoreService::waitForIdle(int milliseconds) {
  QElapsedTimer timer;
  timer.start();
  while (timer.elapsed() < milliseconds) {
    QCoreApplication::processEvents(QEventLoop::AllEvents, 5);
    if (m_shared->inFlight.load() == 0) return true;
    QThread::msleep(1);
  }
  return false;
}

}  // namespace rankscope::ui

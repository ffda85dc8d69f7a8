#pragma once
// The run store as the interface sees it. Nothing here blocks: reads run on reader threads with a read-only connection
// each, writes and ingest on one writer thread, and results come back as calls on the GUI thread with values.
//
// Newest wins: a read names a slot; a newer read of the same receiver and slot makes the older one's answer vanish (and
// skips it if it has not started). Receivers may die at any time; their answers vanish too.
//
// While runs are going, the writer thread takes in their new events about every 250 ms (sooner when a log has grown) and
// announces what changed in batches.

#include "core/config/result.h"

#include <QByteArray>
#include <QMetaObject>
#include <QObject>
#include <QPointer>
#include <QStringList>

#include <any>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <type_traits>

namespace rankscope {
class Store;
}

namespace rankscope::ui {

namespace detail {
template <typename T>
struct ResultOf {
  using type = Result<T>;
  static constexpr bool wraps = true;
};
template <typename T>
struct ResultOf<Result<T>> {
  using type = Result<T>;
  static constexpr bool wraps = false;
};
}  // namespace detail

class StoreService : public QObject {
  Q_OBJECT
 public:
  // Opens the store (creating it, migrating it) and takes in all run folders, on the worker threads.
  StoreService(std::filesystem::path storeFile, std::filesystem::path runsFolder, QObject* parent = nullptr);
  ~StoreService() override;

  const std::filesystem::path& runsFolder() const { return m_runsFolder; }
  std::filesystem::path runFolder(const QString& runId) const;

  // work(Store&) runs on a reader thread and returns T or Result<T>; done(Result<T>) runs on the GUI thread.
  //   store().read(this, "series", [id](Store& s) { return s.readSeries(id, name); },
  //                [this](Result<Series> r) { … });
  // An empty slot means: every answer counts.
  template <typename Work, typename Done>
  void read(QObject* receiver, const QByteArray& slot, Work work, Done done) {
    enqueue(Lane::Read, receiver, slot, std::move(work), std::move(done));
  }
  // The same on the writer thread with the writing connection; never superseded. When it succeeded, `changedRuns` are
  // announced by runsChanged(), whether the receiver still lives or not.
  template <typename Work, typename Done>
  void write(QObject* receiver, const QStringList& changedRuns, Work work, Done done) {
    QPointer<QObject> alive(receiver);
    enqueue(Lane::Write, this, {}, std::move(work),
            [this, alive, changedRuns, done = std::move(done)](auto result) mutable {
              if (result.ok() && !changedRuns.isEmpty()) Q_EMIT runsChanged(changedRuns);
              if (alive) done(std::move(result));
            });
  }
  // Drops pending answers of a slot.
  void drop(QObject* receiver, const QByteArray& slot);

  // Look at run folders now (after an import or a start); coalesced.
  void ingestNow();
  // The queue changed by a write of ours or of another program: emits queueChanged().
  void announceQueue() { Q_EMIT queueChanged(); }
  // Waits until all work handed over so far has been answered or dropped; for tests and exit.
  bool waitForIdle(int milliseconds = 10000);

  bool isOpen() const { return m_open; }
  const QStringList& liveRuns() const { return m_liveRuns; }

 Q_SIGNALS:
  void opened();                                                         // the store is ready; views may load
  void runsChanged(const QStringList& ids);                              // rows changed; an empty list means any
  void seriesAppended(const QString& runId, const QStringList& names);   // new points; an empty list means any
  void liveRunsChanged(const QStringList& ids);
  void queueChanged();
  void problem(const QString& message);                                  // one readable sentence, already translated
  void problemSolved();
  void busyChanged(bool busy);

 private:
  enum class Lane { Read, Write };
  struct Task {
    Lane lane = Lane::Read;
    QPointer<QObject> receiver;
    QObject* receiverKey = nullptr;
    QByteArray slot;
    quint64 token = 0;
    std::function<std::function<void()>(Store*, const Error&)> run;  // returns the call to make on the GUI thread
  };
  class Worker;
  friend class Worker;

  template <typename Work, typename Done>
  void enqueue(Lane lane, QObject* receiver, const QByteArray& slot, Work work, Done done) {
    using Raw = std::invoke_result_t<Work, Store&>;
    using Value = typename detail::ResultOf<Raw>::type;
    Task task;
    task.lane = lane;
    task.receiver = receiver;
    task.receiverKey = receiver;
    task.slot = slot;
    auto shared = std::make_shared<Done>(std::move(done));
    task.run = [work = std::move(work), shared](Store* store, const Error& absent) -> std::function<void()> {
      auto result = std::make_shared<Value>(store ? Value(work(*store)) : Value(absent));
      return [result, shared]() { (*shared)(std::move(*result)); };
    };
    post(std::move(task));
  }
  void post(Task task);
  void deliver(const Task& task, std::function<void()> call);
  bool superseded(const Task& task) const;

  std::filesystem::path m_storeFile;
  std::filesystem::path m_runsFolder;
  bool m_open = false;
  QStringList m_liveRuns;
  struct Shared;
  std::shared_ptr<Shared> m_shared;
  std::vector<std::unique_ptr<Worker>> m_workers;
};

}  // namespace rankscope::ui

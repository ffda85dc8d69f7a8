#include "app/trainer/queue_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <limits>
#include <optional>
#include <thread>

#include "app/trainer/child_process.h"
#include "app/trainer/queue_job.h"
#include "app/trainer/queue_slot.h"
#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/config/log.h"
#include "core/runlog/control.h"
#include "core/runlog/heartbeat.h"
#include "core/runlog/run_folder.h"
#include "core/store/ingest.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kPoll = milliseconds(250);
constexpr auto kStopPatience = seconds(60);   // after a stop wish, before SIGTERM
constexpr auto kTermPatience = seconds(120);  // after SIGTERM (a checkpoint is being written), before SIGKILL
constexpr size_t kOutputBytes = 4 << 20;
constexpr int kMostAttempts = 3;

std::atomic<bool> stopAsked = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

class QueueRunner {
 public:
  QueueRunner(const Places& places, const QueueRunnerSettings& settings, const std::atomic<bool>& stop)
      : m_places(places), m_settings(settings), m_stop(stop) {}

  Result<QueueRunnerReport> run() {
    Result<std::unique_ptr<Store>> store = Store::open(m_places.store, Store::Mode::ReadWrite);
    if (!store) return store.error();
    m_store = std::move(*store);
    m_store->setLockTimeout(seconds(30));
    const std::vector<std::string> names = m_settings.slots.empty() ? deviceSlots() : m_settings.slots;
    for (const std::string& name : names) m_slots.push_back(std::make_unique<Slot>(m_places.home, name));
    while (true) {
      takeSlots();
      if (std::none_of(m_slots.begin(), m_slots.end(), [](const auto& slot) { return slot->lock.held(); })) break;
      if (Result<void> worked = untilEmpty(); !worked) return worked.error();
      if (m_stop) break;
      // A job may have been queued while its caller still saw us running: look once more after letting go.
      for (auto& slot : m_slots) slot->lock.release();
      Result<std::vector<Job>> jobs = m_store->listJobs(false);
      if (!jobs) return jobs.error();
      if (std::none_of(jobs->begin(), jobs->end(), [this](const Job& job) { return forUs(job); })) break;
    }
    m_report.stopped = m_stop;
    return m_report;
  }

 private:
  struct Slot {
    Slot(const fs::path& home, std::string slotName) : name(std::move(slotName)), lock(home, name) {}
    std::string name;
    SlotLock lock;
    std::optional<Job> job;
    std::unique_ptr<ChildProcess> child;  // none while an adopted job is watched
    Clock::time_point stopAsked, termSent, looked;
    bool asked = false, terminated = false;
  };

  bool forUs(const Job& job) const {
    return job.state == JobState::Queued && (m_settings.group.empty() || job.spec.group == m_settings.group) &&
           std::any_of(m_slots.begin(), m_slots.end(), [&job](const auto& slot) {
             return job.spec.slot == "any" || job.spec.slot == slot->name;
           });
  }

  void takeSlots() {
    m_report.busySlots.clear();
    // A runner that is just leaving lets go within moments.
    for (int turn = 0; turn < 8; ++turn) {
      bool all = true;
      for (auto& slot : m_slots) all = slot->lock.acquire() && all;
      if (all) return;
      std::this_thread::sleep_for(kPoll);
    }
    for (const auto& slot : m_slots)
      if (!slot->lock.held()) m_report.busySlots.push_back(slot->name);
  }

  Result<void> untilEmpty() {
    while (true) {
      if (Result<void> adopted = adoptOrphans(); !adopted) return adopted;
      bool busy = false;
      for (auto& slot : m_slots) {
        if (!slot->lock.held()) continue;
        if (!slot->job && !m_stop) {
          Result<std::optional<Job>> next = m_store->claimNextJob(slot->name, workerName(slot->name), m_settings.group);
          if (!next) return next.error();
          if (*next) start(*slot, **next);
        }
        if (slot->job) watch(*slot);
        busy = busy || slot->job.has_value();
      }
      if (!busy && (m_stop || !m_settings.keepWaiting)) {
        if (m_stop) return {};
        Result<std::vector<Job>> jobs = m_store->listJobs(false);
        if (!jobs) return jobs.error();
        if (std::none_of(jobs->begin(), jobs->end(), [this](const Job& job) { return forUs(job); })) return {};
      }
      std::this_thread::sleep_for(kPoll);
    }
  }

  // Jobs of a runner that is gone: a run that still goes is watched in its slot, the rest waits again.
  Result<void> adoptOrphans() {
    if (Clock::now() - m_orphansLooked < seconds(2)) return {};
    m_orphansLooked = Clock::now();
    Result<std::vector<Job>> jobs = m_store->listJobs(false);
    if (!jobs) return jobs.error();
    std::vector<int64_t> watched;
    for (const Job& job : *jobs) {
      if (job.state != JobState::Running || workerAlive(job.worker)) continue;
      const auto mine = std::find_if(m_slots.begin(), m_slots.end(),
                                     [&job](const auto& slot) { return slot->job && slot->job->id == job.id; });
      if (mine != m_slots.end()) {
        watched.push_back(job.id);
        continue;
      }
      if (!aboutRun(job)) continue;
      const Liveness liveness = runLiveness(m_places.runs / job.spec.runId);
      if (liveness == Liveness::Finished) {
        Slot ended(m_places.home, "ended");
        ended.job = job;
        finishAdopted(ended);
        watched.push_back(job.id);
      } else if (liveness == Liveness::Live || liveness == Liveness::Unknown) {
        watched.push_back(job.id);  // even without a free slot: it goes on by itself
        const std::string name = workerFrom(job.worker).slot;
        const auto free = std::find_if(m_slots.begin(), m_slots.end(), [&name](const auto& slot) {
          return slot->name == name && slot->lock.held() && !slot->job;
        });
        if (free != m_slots.end()) {
          say(fmt::format("job {} is still going; it is looked after again", job.id));
          (*free)->job = job;
        }
      }
    }
    const Result<int64_t> back = m_store->recoverJobs(
        [&](const Job& job) {
          return workerAlive(job.worker) || std::find(watched.begin(), watched.end(), job.id) != watched.end();
        },
        kMostAttempts);
    if (!back) return back.error();
    if (*back > 0) say(fmt::format("{} jobs of a runner that ended wait again", *back));
    return {};
  }

  fs::path jobFile(const Job& job, const char* suffix) const {
    return m_places.home / "queue" / fmt::format("job-{}{}", job.id, suffix);
  }

  void start(Slot& slot, const Job& job) {
    slot.job = job;
    slot.asked = slot.terminated = false;
    slot.looked = Clock::now();
    const fs::path config = jobFile(job, ".json");
    Result<std::vector<std::string>> arguments = jobArguments(job, m_places, config);
    if (arguments && job.spec.kind == "train") {
      if (Result<void> written = writeFileAtomically(config, jsonText(job.spec.config, 2)); !written)
        arguments = written.error();
    }
    Result<std::unique_ptr<ChildProcess>> child =
        arguments.ok() ? Result<std::unique_ptr<ChildProcess>>(nullptr) : arguments.error();
    if (arguments) {
      std::vector<std::string> line = {m_settings.program, "--home", m_places.home.string(), "--json", "--quiet"};
      line.insert(line.end(), arguments->begin(), arguments->end());
      std::vector<std::string> environment;
      if (slot.name.rfind("cuda:", 0) == 0) environment.push_back("CUDA_VISIBLE_DEVICES=" + slot.name.substr(5));
      child = ChildProcess::start(line, environment, jobFile(job, ".out"), jobFile(job, ".err"));
    }
    if (!child) {
      finish(slot, JobState::Failed, child.error(), nullptr);
      return;
    }
    slot.child = std::move(*child);
    say(fmt::format("job {} ({}) started on {}", job.id, job.spec.name.empty() ? job.spec.kind : job.spec.name,
                    slot.name));
  }

  void watch(Slot& slot) {
    if (slot.child ? slot.child->ended() : adoptedEnded(*slot.job)) {
      takeEvents(*slot.job);
      slot.child ? finishChild(slot) : finishAdopted(slot);
      return;
    }
    const auto now = Clock::now();
    if (now - slot.looked >= seconds(1)) {
      slot.looked = now;
      takeEvents(*slot.job);
      report(*slot.job);
      if (const Result<Job> current = m_store->job(slot.job->id); current && current->cancelRequested && !slot.asked)
        askToStop(slot);
    }
    if (m_stop && !slot.terminated) terminate(slot);
    if (slot.asked && !slot.terminated && now - slot.stopAsked > kStopPatience) terminate(slot);
    if (slot.terminated && now - slot.termSent > kTermPatience && slot.child) slot.child->signalGroup(SIGKILL);
  }

  void askToStop(Slot& slot) {
    slot.asked = true;
    slot.stopAsked = Clock::now();
    say(fmt::format("job {} is asked to stop", slot.job->id));
    const fs::path folder = m_places.runs / slot.job->spec.runId;
    if (aboutRun(*slot.job) && runLiveness(folder) == Liveness::Live && ControlWriter::send(folder, Command::Stop))
      return;
    terminate(slot);
  }

  void terminate(Slot& slot) {
    slot.terminated = true;
    slot.termSent = Clock::now();
    if (slot.child)
      slot.child->signalGroup(SIGTERM);
    else if (const auto record = readHeartbeat(m_places.runs / slot.job->spec.runId);
             record && livenessOf(*record) == Liveness::Live)
      ::kill(static_cast<pid_t>(record->pid), SIGTERM);
  }

  bool adoptedEnded(const Job& job) const {
    const Liveness liveness = runLiveness(m_places.runs / job.spec.runId);
    return liveness != Liveness::Live && liveness != Liveness::Unknown;
  }

  // Of the run that the job makes, continues or adds its scores to.
  void takeEvents(const Job& job) {
    if (job.spec.runId.empty()) return;
    const fs::path folder = m_places.runs / job.spec.runId;
    std::error_code failure;
    if (!fs::exists(folder / "config.json", failure)) return;
    if (Result<IngestReport> taken = ingestRun(*m_store, folder); !taken)
      logWarning("queue", "{}", taken.error().message());
  }

  void report(const Job& job) {
    if (!aboutRun(job)) {
      const std::optional<JobProgress> said = progressOfJob(jobFile(job, ".err"));
      if (!said) return;
      if (Result<void> noted = m_store->reportJob(job.id, said->share, said->what); !noted)
        logWarning("queue", "{}", noted.error().message());
      return;
    }
    const Result<RunRow> run = m_store->run(job.spec.runId);
    if (!run || run->totalSteps <= 0) return;
    const double share = static_cast<double>(run->step) / static_cast<double>(run->totalSteps);
    const std::string detail = fmt::format("{}, step {} of {}", run->status, run->step, run->totalSteps);
    if (Result<void> noted = m_store->reportJob(job.id, std::clamp(share, 0.0, 1.0), detail); !noted)
      logWarning("queue", "{}", noted.error().message());
  }

  void finishChild(Slot& slot) {
    const auto readEnd = [](const fs::path& file) {
      Result<std::string> text = readFileBounded(file, kOutputBytes);
      return text ? std::move(*text) : std::string();
    };
    const std::string output = readEnd(jobFile(*slot.job, ".out")), errors = readEnd(jobFile(*slot.job, ".err"));
    const fs::path folder = m_places.runs / slot.job->spec.runId;
    std::error_code failure;
    if (aboutRun(*slot.job) && !errors.empty() && fs::exists(folder, failure) &&
        !fs::exists(folder / "stderr.log", failure))
      (void)writeFileAtomically(folder / "stderr.log", errors, Durability::Renamed);
    const ChildProcess& child = *slot.child;
    const bool good = child.signal() == 0 && child.exitCode() == 0;
    if (m_stop && !good) {
      leaveForNextRunner(slot);
      return;
    }
    const Result<Job> current = m_store->job(slot.job->id);
    const bool cancelled = slot.asked || (current && current->cancelRequested);
    if (cancelled) {
      finish(slot, JobState::Cancelled, std::nullopt, nullptr);
    } else if (good) {
      Result<nlohmann::json> result = parseJson(output, "output");
      finish(slot, JobState::Done, std::nullopt, result ? *result : nlohmann::json());
    } else {
      finish(slot, JobState::Failed, errorOfJob(child.exitCode(), child.signal(), output, errors), nullptr);
    }
  }

  // Nobody waited for that process; what its run says has to do.
  void finishAdopted(Slot& slot) {
    const Result<HeartbeatRecord> record = readHeartbeat(m_places.runs / slot.job->spec.runId);
    const event::RunState state = record ? record->state : event::RunState::Interrupted;
    const Result<Job> current = m_store->job(slot.job->id);
    if (current && current->cancelRequested)
      finish(slot, JobState::Cancelled, std::nullopt, nullptr);
    else if (state == event::RunState::Finished || state == event::RunState::Stopped)
      finish(slot, JobState::Done, std::nullopt, nullptr);
    else if (state == event::RunState::Failed)
      finish(slot, JobState::Failed,
             Error{ErrorCode::Training, "the run failed", slot.job->spec.runId, "", "",
                   "Look at the run's log, then retry the job."},
             nullptr);
    else
      leaveForNextRunner(slot);
  }

  void leaveForNextRunner(Slot& slot) {
    const int64_t id = slot.job->id;
    const Result<int64_t> back =
        m_store->recoverJobs([id](const Job& job) { return job.id != id; }, std::numeric_limits<int>::max());
    if (!back) logWarning("queue", "{}", back.error().message());
    say(fmt::format("job {} was interrupted and waits to be resumed", id));
    slot.child.reset();
    slot.job.reset();
  }

  void finish(Slot& slot, JobState state, const std::optional<Error>& error, const nlohmann::json& result) {
    if (Result<void> done = m_store->finishJob(slot.job->id, state, error, result); !done)
      logWarning("queue", "{}", done.error().message());
    say(fmt::format("job {}: {}{}", slot.job->id, jobStateName(state),
                    error ? ": " + error->message() : std::string()));
    (state == JobState::Done ? m_report.done : state == JobState::Failed ? m_report.failed : m_report.cancelled) += 1;
    std::error_code failure;
    for (const char* suffix : {".json", ".out", ".err"})
      if (state != JobState::Failed) fs::remove(jobFile(*slot.job, suffix), failure);
    slot.child.reset();
    slot.job.reset();
  }

  void say(const std::string& line) const {
    if (m_settings.say) m_settings.say(line);
  }

  const Places& m_places;
  const QueueRunnerSettings& m_settings;
  const std::atomic<bool>& m_stop;
  std::unique_ptr<Store> m_store;
  std::vector<std::unique_ptr<Slot>> m_slots;
  QueueRunnerReport m_report;
  Clock::time_point m_orphansLooked{};
};

}  // namespace

const std::atomic<bool>& stopOnSignals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stopAsked = true; };
  for (const int number : {SIGINT, SIGTERM}) sigaction(number, &action, nullptr);
  return stopAsked;
}

Result<QueueRunnerReport> runQueue(const Places& places, const QueueRunnerSettings& settings,
                                   const std::atomic<bool>& stop) {
  return QueueRunner(places, settings, stop).run();
}

}  // namespace rankscope

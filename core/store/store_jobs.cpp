// The queue. Every change is one durable transaction under the writer's lock, so a job is claimed by one runner only.

#include <fmt/format.h>

#include <algorithm>

#include "core/config/json_text.h"
#include "core/runlog/events.h"
#include "core/runlog/uuid.h"
#include "core/store/database.h"
#include "core/store/store.h"

namespace rankscope {
namespace {

constexpr auto kDurable = StoreDatabase::Durability::Durable;
constexpr const char* kStates[] = {"queued", "held", "running", "done", "failed", "cancelled"};
constexpr const char* kColumns =
    "SELECT id, kind, name, config, slot, run_uuid, grouping, state, position, attempts, created, started, finished, "
    "cancel, "
    "worker, detail, progress, error, result FROM jobs ";

nlohmann::json parsed(const std::string& text) {
  if (text.empty()) return nullptr;
  Result<nlohmann::json> value = parseJsonRecord(text, "job");
  return value ? std::move(*value) : nlohmann::json();
}

nlohmann::json errorToJson(const Error& error) {
  return {{"code", errorCodeName(error.code)}, {"what", error.what}, {"where", error.where}, {"found", error.found},
          {"expected", error.expected},        {"hint", error.hint}};
}

Error errorFromJson(const nlohmann::json& body) {
  const auto text = [&body](const char* key) {
    const auto value = body.find(key);
    return value != body.end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  Error error{ErrorCode::Internal, text("what"), text("where"), text("found"), text("expected"), text("hint")};
  for (const ErrorCode code : {ErrorCode::Usage, ErrorCode::BadInput, ErrorCode::Training, ErrorCode::Interrupted,
                               ErrorCode::Store, ErrorCode::Io})
    if (text("code") == errorCodeName(code)) error.code = code;
  return error;
}

Job jobFrom(const Query& row) {
  Job job;
  int c = 0;
  job.id = row.integer(c++);
  job.spec.kind = row.text(c++), job.spec.name = row.text(c++), job.spec.config = parsed(row.text(c++));
  job.spec.slot = row.text(c++), job.spec.runId = row.text(c++), job.spec.group = row.text(c++);
  job.state = jobStateFromName(row.text(c++)).value_or(JobState::Failed);
  job.spec.held = job.state == JobState::Held;
  job.position = row.integer(c++);
  job.attempts = static_cast<int>(row.integer(c++));
  job.createdAt = row.real(c++), job.startedAt = row.real(c++), job.finishedAt = row.real(c++);
  job.cancelRequested = row.integer(c++) != 0;
  job.worker = row.text(c++), job.detail = row.text(c++), job.progress = row.real(c++);
  const nlohmann::json error = parsed(row.text(c++));
  if (error.is_object()) job.error = errorFromJson(error);
  job.result = parsed(row.text(c++));
  return job;
}

Job requireJob(StoreDatabase& database, int64_t id) {
  Query query(database, std::string(kColumns) + "WHERE id = ?");
  query.bind(id);
  if (query.step()) return jobFrom(query);
  throw ErrorException(Error{ErrorCode::Usage, "there is no such job", "", std::to_string(id),
                             "the number of a job in the queue", "`rankscope-train queue list` shows them."});
}

[[noreturn]] void wrongState(const Job& job, const char* expected) {
  throw ErrorException(Error{ErrorCode::Usage, "the job is in another state", fmt::format("job {}", job.id),
                             jobStateName(job.state), expected, "Look at the queue again; it may have moved on."});
}

bool waiting(const Job& job) { return job.state == JobState::Queued || job.state == JobState::Held; }

int64_t lastPosition(StoreDatabase& database) {
  Query query(database, "SELECT COALESCE(MAX(position), 0) FROM jobs");
  return query.step() ? query.integer(0) : 0;
}

}  // namespace

const char* jobStateName(JobState state) { return kStates[static_cast<int>(state)]; }

std::optional<JobState> jobStateFromName(const std::string& name) {
  for (int i = 0; i < 6; ++i)
    if (name == kStates[i]) return static_cast<JobState>(i);
  return std::nullopt;
}

Result<Job> Store::addJob(const JobSpec& spec) {
  Result<std::vector<Job>> jobs = addJobs({spec});
  if (!jobs) return jobs.error();
  return std::move(jobs->at(0));
}

Result<std::vector<Job>> Store::addJobs(const std::vector<JobSpec>& specs) {
  return m_database->write("jobs are queued", kDurable, [&]() -> Result<std::vector<Job>> {
    std::vector<Job> jobs;
    int64_t position = lastPosition(*m_database);
    for (const JobSpec& spec : specs) {
      const std::string runId = spec.runId.empty() && spec.kind == "train" ? newUuid() : spec.runId;
      Query(*m_database,
            "INSERT INTO jobs (kind, name, config, slot, run_uuid, grouping, state, position, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
          .bind(spec.kind, spec.name, jsonText(spec.config), spec.slot.empty() ? "any" : spec.slot, runId, spec.group,
                spec.held ? "held" : "queued", ++position, event::unixTime())
          .run();
      jobs.push_back(requireJob(*m_database, m_database->lastInsertId()));
    }
    return jobs;
  });
}

Result<Job> Store::job(int64_t id) {
  return m_database->read("a job is read", [&]() -> Result<Job> { return requireJob(*m_database, id); });
}

Result<std::vector<Job>> Store::listJobs(bool withFinished) {
  return m_database->read("the queue is listed", [&]() -> Result<std::vector<Job>> {
    std::vector<Job> jobs;
    Query query(*m_database,
                std::string(kColumns) +
                    "WHERE ?1 OR state IN ('queued', 'held', 'running') "
                    "ORDER BY CASE state WHEN 'running' THEN 0 WHEN 'queued' THEN 1 WHEN 'held' THEN 1 ELSE 2 END, "
                    "CASE WHEN state IN ('queued', 'held') THEN position END, "
                    "CASE WHEN state = 'running' THEN started ELSE -finished END, id");
    query.bind(withFinished);
    while (query.step()) jobs.push_back(jobFrom(query));
    return jobs;
  });
}

Result<void> Store::moveJob(int64_t id, int64_t place) {
  return m_database->write("a job is moved", kDurable, [&] {
    const Job job = requireJob(*m_database, id);
    if (!waiting(job)) wrongState(job, "queued or held");
    std::vector<int64_t> order;
    {
      Query query(*m_database,
                  "SELECT id FROM jobs WHERE state IN ('queued', 'held') AND id <> ? ORDER BY position, id");
      query.bind(id);
      while (query.step()) order.push_back(query.integer(0));
    }
    const int64_t at = std::clamp<int64_t>(place, 0, static_cast<int64_t>(order.size()));
    order.insert(order.begin() + at, id);
    int64_t position = lastPosition(*m_database);
    for (const int64_t each : order)
      Query(*m_database, "UPDATE jobs SET position = ? WHERE id = ?").bind(++position, each).run();
  });
}

Result<void> Store::holdJob(int64_t id, bool hold) {
  return m_database->write("a job is held", kDurable, [&] {
    const Job job = requireJob(*m_database, id);
    if (!waiting(job)) wrongState(job, "queued or held");
    Query(*m_database, "UPDATE jobs SET state = ? WHERE id = ?").bind(hold ? "held" : "queued", id).run();
  });
}

Result<void> Store::cancelJob(int64_t id) {
  return m_database->write("a job is cancelled", kDurable, [&] {
    const Job job = requireJob(*m_database, id);
    if (job.state == JobState::Running) {
      Query(*m_database, "UPDATE jobs SET cancel = 1 WHERE id = ?").bind(id).run();
    } else if (waiting(job)) {
      Query(*m_database, "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ?")
          .bind(event::unixTime(), id)
          .run();
    } else {
      wrongState(job, "queued, held or running");
    }
  });
}

Result<Job> Store::retryJob(int64_t id) {
  return m_database->write("a job is queued again", kDurable, [&]() -> Result<Job> {
    const Job job = requireJob(*m_database, id);
    if (waiting(job) || job.state == JobState::Running) wrongState(job, "failed, cancelled or done");
    // A run's folder is made once: another try is another run.
    const std::string runId = job.spec.kind == "train" && job.attempts > 0 ? newUuid() : job.spec.runId;
    Query(*m_database,
          "UPDATE jobs SET state = 'queued', position = ?, run_uuid = ?, started = 0, finished = 0, cancel = 0, "
          "attempts = 0, worker = '', detail = '', progress = -1, error = '', result = '' WHERE id = ?")
        .bind(lastPosition(*m_database) + 1, runId, id)
        .run();
    return requireJob(*m_database, id);
  });
}

Result<void> Store::removeJob(int64_t id) {
  return m_database->write("a job is removed", kDurable, [&] {
    const Job job = requireJob(*m_database, id);
    if (job.state == JobState::Running) wrongState(job, "not running");
    Query(*m_database, "DELETE FROM jobs WHERE id = ?").bind(id).run();
  });
}

Result<std::optional<Job>> Store::claimNextJob(const std::string& slot, const std::string& worker,
                                               const std::string& group) {
  return m_database->write("a job is taken", kDurable, [&]() -> Result<std::optional<Job>> {
    int64_t id = 0;
    {
      Query query(*m_database,
                  "SELECT id FROM jobs WHERE state = 'queued' AND (slot = 'any' OR slot = ?1 OR ?1 = 'any') "
                  "AND (?2 = '' OR grouping = ?2) ORDER BY position, id LIMIT 1");
      query.bind(slot, group);
      if (!query.step()) return std::optional<Job>();
      id = query.integer(0);
    }
    Query(*m_database,
          "UPDATE jobs SET state = 'running', started = ?, finished = 0, attempts = attempts + 1, cancel = 0, "
          "worker = ?, detail = '', progress = -1, error = '', result = '' WHERE id = ?")
        .bind(event::unixTime(), worker, id)
        .run();
    return std::optional<Job>(requireJob(*m_database, id));
  });
}

Result<void> Store::reportJob(int64_t id, double progress, const std::string& detail) {
  return m_database->write("a job's progress is noted", StoreDatabase::Durability::Derived, [&] {
    Query(*m_database, "UPDATE jobs SET progress = ?, detail = ? WHERE id = ? AND state = 'running'")
        .bind(progress >= 0 && progress <= 1 ? progress : -1.0, detail, id)
        .run();
  });
}

Result<void> Store::finishJob(int64_t id, JobState state, const std::optional<Error>& error,
                              const nlohmann::json& result) {
  return m_database->write("a job is finished", kDurable, [&] {
    const Job job = requireJob(*m_database, id);
    if (job.state != JobState::Running) wrongState(job, "running");
    if (state != JobState::Done && state != JobState::Failed && state != JobState::Cancelled)
      throw ErrorException(Error{ErrorCode::Internal, "a job cannot finish so", "", jobStateName(state),
                                 "done, failed or cancelled", "Please report this."});
    Query(*m_database,
          "UPDATE jobs SET state = ?, finished = ?, cancel = 0, detail = '', progress = -1, error = ?, result = ? "
          "WHERE id = ?")
        .bind(jobStateName(state), event::unixTime(), error ? jsonText(errorToJson(*error)) : "",
              result.is_null() ? "" : jsonText(result), id)
        .run();
  });
}

Result<int64_t> Store::recoverJobs(const std::function<bool(const Job&)>& workerAlive, int maxAttempts) {
  Result<std::vector<Job>> jobs = listJobs(false);
  if (!jobs) return jobs.error();
  std::vector<Job> orphans;
  for (const Job& job : *jobs)
    if (job.state == JobState::Running && !workerAlive(job)) orphans.push_back(job);
  if (orphans.empty()) return int64_t{0};
  return m_database->write("orphaned jobs are taken back", kDurable, [&]() -> Result<int64_t> {
    int64_t count = 0;
    for (const Job& orphan : orphans) {
      const Job job = requireJob(*m_database, orphan.id);
      if (job.state != JobState::Running || job.worker != orphan.worker || job.attempts != orphan.attempts) continue;
      ++count;
      if (job.cancelRequested) {
        Query(*m_database, "UPDATE jobs SET state = 'cancelled', finished = ?, cancel = 0 WHERE id = ?")
            .bind(event::unixTime(), job.id)
            .run();
      } else if (job.attempts < maxAttempts) {
        Query(*m_database, "UPDATE jobs SET state = 'queued', worker = '', progress = -1, detail = ? WHERE id = ?")
            .bind("its runner ended; it waits again", job.id)
            .run();
      } else {
        const Error error{ErrorCode::Interrupted,
                          "the job's runner ended each time it was tried",
                          fmt::format("job {}", job.id),
                          fmt::format("{} attempts", job.attempts),
                          "",
                          "Look at the run's log, then retry it."};
        Query(*m_database, "UPDATE jobs SET state = 'failed', finished = ?, error = ? WHERE id = ?")
            .bind(event::unixTime(), jsonText(errorToJson(error)), job.id)
            .run();
      }
    }
    return count;
  });
}

}  // namespace rankscope

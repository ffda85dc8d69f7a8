#include "app/trainer/store_documents.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>

#include "core/config/task_heads.h"

namespace rankscope {
namespace {

nlohmann::json number(double value) { return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(); }

std::string cell(double value) { return std::isfinite(value) ? formatNumber(value) : std::string(); }

}  // namespace

std::string formatTime(double unixSeconds) {
  if (!std::isfinite(unixSeconds) || unixSeconds <= 0 || unixSeconds > 1e11) return {};
  const auto time = static_cast<std::time_t>(unixSeconds);
  std::tm local{};
  localtime_r(&time, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
  return text;
}

nlohmann::json runDocument(const RunRow& run) {
  nlohmann::json metrics = nlohmann::json::object();
  for (const auto& [name, summary] : run.metrics)
    metrics[name] = {{"last", number(summary.last)}, {"best", number(summary.best)}, {"best_step", summary.bestStep},
                     {"min", number(summary.min)},   {"max", number(summary.max)},   {"first", number(summary.first)},
                     {"count", summary.count},       {"last_step", summary.lastStep}};
  return {{"id", run.id},
          {"name", run.name},
          {"status", run.status},
          {"status_detail", run.statusDetail},
          {"method", run.method},
          {"rank", run.rank ? nlohmann::json(*run.rank) : nlohmann::json()},
          {"alpha", number(run.alpha)},
          {"model", run.modelName},
          {"data", run.dataName},
          {"task", run.task},
          {"seed", run.seed},
          {"created", number(run.createdAt)},
          {"started", number(run.startedAt)},
          {"finished", number(run.finishedAt)},
          {"step", run.step},
          {"total_steps", run.totalSteps},
          {"tokens", run.tokens},
          {"unit", unitOfTask(run.task)},
          {"seconds", number(run.seconds)},
          {"peak_memory", run.peakMemory},
          {"trainable", run.trainable},
          {"parameters", run.parameters},
          {"best_metric", run.bestMetric},
          {"best_value", number(run.bestValue)},
          {"best_step", run.bestStep},
          {"train_loss", number(run.lastTrainLoss)},
          {"eval_loss", number(run.lastEvalLoss)},
          {"metrics", metrics},
          {"tags", run.tags},
          {"note", run.note},
          {"colour", run.colour},
          {"starred", run.starred},
          {"archived", run.archived},
          {"trashed", run.trashed},
          {"host", run.host},
          {"version", run.version},
          {"device", run.device},
          {"compute_dtype", run.computeDtype},
          {"chat_template", run.chatTemplate},
          {"lives", run.lives},
          {"folder", run.folder}};
}

TextTable runTable(const std::vector<RunRow>& runs, const std::vector<std::string>& metrics) {
  TextTable table;
  table.header = {"id", "name", "status", "method", "rank", "model", "data", "step", "best", "loss", "time", "tags"};
  table.rightAligned = {4, 7, 9, 10};
  for (const std::string& metric : metrics) {
    table.rightAligned.push_back(table.header.size());
    table.header.push_back(metric);
  }
  for (const RunRow& run : runs) {
    const std::string best =
        std::isfinite(run.bestValue)
            ? fmt::format("{} {}", run.bestMetric.substr(run.bestMetric.rfind('/') + 1), formatNumber(run.bestValue))
            : std::string();
    std::vector<std::string> row = {
        run.id.substr(0, 8),
        (run.starred ? "★ " : "") + run.name,
        run.status,
        run.method,
        run.rank ? std::to_string(*run.rank) : "",
        run.modelName,
        run.dataName,
        run.totalSteps > 0 ? fmt::format("{}/{}", run.step, run.totalSteps) : std::to_string(run.step),
        best,
        cell(run.lastTrainLoss),
        std::isfinite(run.seconds) ? formatSeconds(run.seconds) : "",
        fmt::format("{}", fmt::join(run.tags, ", "))};
    for (const std::string& metric : metrics) {
      const auto found = run.metrics.find(metric);
      row.push_back(found == run.metrics.end() ? "" : cell(found->second.last));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

nlohmann::json statisticDocument(const GroupStatistic& statistic) {
  return {{"n", statistic.n},
          {"mean", number(statistic.mean)},
          {"sd", number(statistic.sd)},
          {"low", number(statistic.low)},
          {"high", number(statistic.high)},
          {"min", number(statistic.min)},
          {"max", number(statistic.max)}};
}

nlohmann::json ingestDocument(const IngestReport& report) {
  nlohmann::json problems = nlohmann::json::array();
  for (const Error& problem : report.problems) problems.push_back(errorDocument(problem));
  return {{"seen", report.runsSeen}, {"added", report.runsAdded},        {"changed", report.runsChanged},
          {"events", report.events}, {"changed_ids", report.changedIds}, {"problems", problems}};
}

nlohmann::json jobDocument(const Job& job) {
  return {{"id", job.id},
          {"kind", job.spec.kind},
          {"name", job.spec.name},
          {"slot", job.spec.slot},
          {"run", job.spec.runId},
          {"group", job.spec.group},
          {"state", jobStateName(job.state)},
          {"position", job.position},
          {"attempts", job.attempts},
          {"created", number(job.createdAt)},
          {"started", number(job.startedAt)},
          {"finished", number(job.finishedAt)},
          {"cancel_requested", job.cancelRequested},
          {"worker", job.worker},
          {"detail", job.detail},
          {"progress", job.progress >= 0 ? nlohmann::json(job.progress) : nlohmann::json()},
          {"error", job.error ? errorDocument(*job.error) : nlohmann::json()},
          {"config", job.spec.config},
          {"result", job.result}};
}

TextTable jobTable(const std::vector<Job>& jobs) {
  TextTable table;
  table.header = {"job", "state", "kind", "name", "slot", "run", "since", "detail"};
  table.rightAligned = {0};
  for (const Job& job : jobs) {
    const bool ended = job.state == JobState::Done || job.state == JobState::Failed || job.state == JobState::Cancelled;
    const double since = ended ? job.finishedAt : job.state == JobState::Running ? job.startedAt : job.createdAt;
    std::string detail = job.error ? job.error->what : job.detail;
    if (job.state == JobState::Running && job.progress >= 0)
      detail = fmt::format("{:.0f}%  {}", job.progress * 100, detail);
    if (job.cancelRequested) detail += " (stopping)";
    table.rows.push_back({std::to_string(job.id), jobStateName(job.state), job.spec.kind, job.spec.name, job.spec.slot,
                          job.spec.runId.substr(0, 8), formatTime(since), detail});
  }
  return table;
}

Result<std::unique_ptr<Store>> openCurrentStore(const CommandContext& context) {
  Result<std::unique_ptr<Store>> store = Store::open(context.places.store, Store::Mode::ReadWrite);
  if (!store) {
    if (store.error().code != ErrorCode::Io) return store;
    Result<std::unique_ptr<Store>> reading = Store::open(context.places.store, Store::Mode::ReadOnly);
    if (!reading) return store;
    context.warn(store.error().message() + " It is shown as it was last written.");
    return reading;
  }
  const IngestReport report = ingestRuns(**store, context.places.runs);
  for (const Error& problem : report.problems) context.warn(problem.message());
  return store;
}

Result<std::vector<std::string>> resolveRuns(Store& store, const std::vector<std::string>& runs) {
  std::vector<std::string> ids;
  for (const std::string& run : runs) {
    Result<std::string> id = store.resolveRun(run);
    if (!id) return id.error();
    ids.push_back(std::move(*id));
  }
  return ids;
}

}  // namespace rankscope

// rankscope-train store: the history on the command line. list, show and compare read; the others keep it in order.

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "app/trainer/commands.h"
#include "app/trainer/store_documents.h"
#include "core/config/task_heads.h"

namespace rankscope {
namespace {

// "loss", "-accuracy" (descending), "optim.learning_rate"
std::vector<SortKey> sortKeys(const std::vector<std::string>& texts) {
  std::vector<SortKey> keys;
  for (const std::string& text : texts)
    keys.push_back(text.rfind('-', 0) == 0 ? SortKey{text.substr(1), true} : SortKey{text, false});
  return keys;
}

// --- list ---------------------------------------------------------------------------------------------------------
struct ListArguments {
  std::string filter;
  std::vector<std::string> sort, group, metrics;
  int64_t limit = 50, offset = 0;
  bool archived = false, trashed = false;
};

std::string spread(const GroupStatistic& statistic) {
  if (statistic.n == 0) return {};
  if (statistic.n < 2) return formatNumber(statistic.mean);
  return fmt::format("{} ± {}", formatNumber(statistic.mean), formatNumber(statistic.sd, 2));
}

int listGroups(CommandContext& context, Store& store, const ListArguments& arguments, const RunQuery& runs) {
  GroupQuery query{runs, arguments.group, arguments.metrics};
  if (query.metrics.empty()) query.metrics = {"best"};
  Result<std::vector<RunGroup>> groups = store.groupRuns(query);
  if (!groups) return context.fail(groups.error());
  TextTable table;
  table.header = query.keys;
  table.header.push_back("n");
  for (const std::string& metric : query.metrics) table.header.push_back(metric + " (mean ± sd)");
  for (const std::string& metric : query.metrics) table.header.push_back(metric + " 95%");
  for (size_t i = query.keys.size(); i < table.header.size(); ++i) table.rightAligned.push_back(i);
  nlohmann::json document = nlohmann::json::array();
  for (const RunGroup& group : *groups) {
    std::vector<std::string> row = group.key;
    row.push_back(std::to_string(group.runIds.size()));
    nlohmann::json keys = nlohmann::json::object(), statistics = nlohmann::json::object();
    for (size_t i = 0; i < query.keys.size(); ++i) keys[query.keys[i]] = group.key[i];
    for (size_t i = 0; i < query.metrics.size(); ++i) {
      row.push_back(spread(group.statistics[i]));
      statistics[query.metrics[i]] = statisticDocument(group.statistics[i]);
    }
    for (const GroupStatistic& statistic : group.statistics)
      row.push_back(std::isfinite(statistic.low)
                        ? fmt::format("{} … {}", formatNumber(statistic.low), formatNumber(statistic.high))
                        : "");
    table.rows.push_back(std::move(row));
    document.push_back({{"key", keys}, {"runs", group.runIds}, {"statistics", statistics}});
  }
  context.print(document, table);
  return 0;
}

int list(CommandContext& context, const ListArguments& arguments) {
  Result<std::unique_ptr<Store>> store = openCurrentStore(context);
  if (!store) return context.fail(store.error());
  RunQuery query;
  query.filter = arguments.filter;
  query.sort = sortKeys(arguments.sort);
  query.limit = arguments.limit;
  query.offset = arguments.offset;
  query.includeArchived = arguments.archived;
  query.onlyTrashed = arguments.trashed;
  if (!arguments.group.empty()) return listGroups(context, **store, arguments, query);
  Result<RunPage> page = (*store)->listRuns(query);
  if (!page) return context.fail(page.error());
  nlohmann::json runs = nlohmann::json::array();
  for (const RunRow& run : page->rows) runs.push_back(runDocument(run));
  context.print({{"total", page->total}, {"runs", runs}}, runTable(page->rows, arguments.metrics));
  if (page->total > static_cast<int64_t>(page->rows.size()))
    context.note(fmt::format("{} of {} runs; --limit and --offset show others", page->rows.size(), page->total));
  return 0;
}

void addList(CLI::App* store, CommandContext& context) {
  auto arguments = std::make_shared<ListArguments>();
  CLI::App* sub = store->add_subcommand("list", "Runs, newest first");
  sub->add_option("FILTER", arguments->filter,
                  "As in the workbench: words, /regex/, or rank >= 16 and method = reflora and loss < 2");
  sub->add_option("--sort", arguments->sort, "Column, metric or config key; -KEY for falling order")
      ->delimiter(',')
      ->type_name("KEY");
  sub->add_option("--group", arguments->group, "Group by these, with mean, sd and 95% interval of --metrics")
      ->delimiter(',')
      ->type_name("KEY");
  sub->add_option("--metrics", arguments->metrics, "Metrics to show, for example eval/accuracy,accuracy.best")
      ->delimiter(',')
      ->type_name("NAME");
  sub->add_option("--limit", arguments->limit, "Rows at most (-1: all)")->capture_default_str();
  sub->add_option("--offset", arguments->offset, "Rows to skip")->capture_default_str();
  sub->add_flag("--archived", arguments->archived, "Also archived runs");
  sub->add_flag("--trash", arguments->trashed, "What is in the trash");
  context.run(sub, [&context, arguments] { return list(context, *arguments); });
}

// --- show ---------------------------------------------------------------------------------------------------------
int show(CommandContext& context, const std::string& name, const std::string& seriesName, int64_t logLines) {
  Result<std::unique_ptr<Store>> store = openCurrentStore(context);
  if (!store) return context.fail(store.error());
  Result<std::string> id = (*store)->resolveRun(name);
  if (!id) return context.fail(id.error());
  if (!seriesName.empty()) {
    Result<Series> series = (*store)->readSeries(*id, seriesName);
    if (!series) return context.fail(series.error());
    std::string text = "step\tepoch\ttokens\tseconds\tvalue\n";
    for (size_t i = 0; i < series->size(); ++i)
      text += fmt::format("{}\t{}\t{}\t{}\t{}\n", series->steps[i], series->epochs[i], series->tokens[i],
                          series->seconds[i], series->values[i]);
    context.print({{"run", *id},
                   {"name", seriesName},
                   {"steps", series->steps},
                   {"epochs", series->epochs},
                   {"tokens", series->tokens},
                   {"seconds", series->seconds},
                   {"values", series->values}},
                  text);
    return 0;
  }
  Result<RunRow> run = (*store)->run(*id);
  if (!run) return context.fail(run.error());
  Result<nlohmann::json> config = (*store)->runConfig(*id);
  if (!config) return context.fail(config.error());
  Result<std::vector<CheckpointRow>> checkpoints = (*store)->checkpoints(*id);
  if (!checkpoints) return context.fail(checkpoints.error());
  Result<std::vector<RunLogLine>> log = (*store)->readLog(*id, {.limit = logLines});
  if (!log) return context.fail(log.error());

  nlohmann::json document = runDocument(*run);
  document["config"] = *config;
  document["checkpoints"] = document["log"] = nlohmann::json::array();
  for (const CheckpointRow& row : *checkpoints)
    document["checkpoints"].push_back({{"step", row.step},
                                       {"path", row.path},
                                       {"bytes", row.bytes},
                                       {"reason", row.reason},
                                       {"best", row.best},
                                       {"present", row.present}});
  for (const RunLogLine& line : *log)
    document["log"].push_back({{"time", line.time},
                               {"step", line.step},
                               {"level", logLevelName(line.level)},
                               {"kind", line.kind},
                               {"text", line.text}});

  std::string text = fmt::format("{}  {}\n", run->id, run->name);
  const auto line = [&text](const char* label, const std::string& value) {
    if (!value.empty()) text += fmt::format("  {:<12} {}\n", label, value);
  };
  line("status", run->statusDetail.empty() ? run->status : run->status + ": " + run->statusDetail);
  line("method", run->rank ? fmt::format("{}, rank {}, alpha {}", run->method, *run->rank, formatNumber(run->alpha))
                           : run->method);
  line("model", run->modelName);
  line("data", fmt::format("{} ({})", run->dataName, run->task));
  line("template", run->chatTemplate);
  line("step", fmt::format("{} of {}, {} {}, {}", run->step, run->totalSteps, formatCount(run->tokens),
                           unitOfTask(run->task), formatSeconds(run->seconds)));
  line("trainable", fmt::format("{} of {}", formatCount(run->trainable), formatCount(run->parameters)));
  if (run->peakMemory > 0) line("peak memory", formatBytes(static_cast<double>(run->peakMemory)));
  line("created", formatTime(run->createdAt));
  if (std::isfinite(run->bestValue))
    line("best", fmt::format("{} {} at step {}", run->bestMetric, formatNumber(run->bestValue, 5), run->bestStep));
  line("tags", fmt::format("{}", fmt::join(run->tags, ", ")));
  line("note", run->note);
  line("folder", run->folder);
  TextTable metrics;
  metrics.header = {"metric", "last", "best", "at step", "min", "max", "points"};
  metrics.rightAligned = {1, 2, 3, 4, 5, 6};
  for (const auto& [metric, all] : run->metrics)
    metrics.rows.push_back({metric, formatNumber(all.last, 5), formatNumber(all.best, 5), std::to_string(all.bestStep),
                            formatNumber(all.min, 5), formatNumber(all.max, 5), std::to_string(all.count)});
  text += "\n" + metrics.toText();
  for (const RunLogLine& each : *log)
    text += fmt::format("{}{}  {:<7} {}\n", &each == &log->front() ? "\n" : "", formatTime(each.time),
                        logLevelName(each.level), each.text);
  context.print(document, text);
  return 0;
}

void addShow(CLI::App* store, CommandContext& context) {
  struct Arguments {
    std::string run, series;
    int64_t log = 20;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* sub = store->add_subcommand("show", "Everything about one run, or one of its curves");
  sub->add_option("RUN", arguments->run, "Run: uuid, beginning of it, or name")->required();
  sub->add_option("--series", arguments->series, "Print this curve, every point")->type_name("NAME");
  sub->add_option("--log", arguments->log, "Lines of the log to show")->capture_default_str();
  context.run(sub, [&context, arguments] { return show(context, arguments->run, arguments->series, arguments->log); });
}

// --- compare ------------------------------------------------------------------------------------------------------
int compare(CommandContext& context, const std::vector<std::string>& names, const std::vector<std::string>& wanted) {
  Result<std::unique_ptr<Store>> store = openCurrentStore(context);
  if (!store) return context.fail(store.error());
  Result<std::vector<std::string>> ids = resolveRuns(**store, names);
  if (!ids) return context.fail(ids.error());
  Result<std::vector<RunDifference>> differences = (*store)->configDifferences(*ids);
  if (!differences) return context.fail(differences.error());
  std::vector<RunRow> runs;
  std::set<std::string> metrics(wanted.begin(), wanted.end());
  for (const std::string& id : *ids) {
    Result<RunRow> run = (*store)->run(id);
    if (!run) return context.fail(run.error());
    if (wanted.empty())
      for (const auto& [metric, summary] : run->metrics)
        if (metric.rfind("eval/", 0) == 0 || metric == "train/loss") metrics.insert(metric);
    runs.push_back(std::move(*run));
  }
  TextTable table;
  table.header = {""};
  nlohmann::json document = {
      {"runs", *ids}, {"config", nlohmann::json::object()}, {"metrics", nlohmann::json::object()}};
  for (const RunRow& run : runs) table.header.push_back(fmt::format("{} {}", run.id.substr(0, 8), run.name));
  for (const RunDifference& difference : *differences) {
    std::vector<std::string> row = {difference.key};
    row.insert(row.end(), difference.values.begin(), difference.values.end());
    table.rows.push_back(std::move(row));
    document["config"][difference.key] = difference.values;
  }
  for (const std::string& metric : metrics) {
    std::vector<std::string> row = {metric + (betterDirection(metric) == Better::Neither ? " (last)" : " (best)")};
    nlohmann::json values = nlohmann::json::array();
    for (const RunRow& run : runs) {
      const auto found = run.metrics.find(metric);
      const double value = found == run.metrics.end() ? kUnknown : found->second.best;
      row.push_back(std::isfinite(value) ? formatNumber(value, 5) : "");
      values.push_back(std::isfinite(value) ? nlohmann::json(value) : nlohmann::json());
    }
    table.rows.push_back(std::move(row));
    document["metrics"][metric] = values;
  }
  const auto measured = [&](const char* label, const char* key, const std::function<std::string(const RunRow&)>& text,
                            const std::function<nlohmann::json(const RunRow&)>& value) {
    std::vector<std::string> row = {label};
    nlohmann::json values = nlohmann::json::array();
    for (const RunRow& run : runs) row.push_back(text(run)), values.push_back(value(run));
    table.rows.push_back(std::move(row));
    document[key] = values;
  };
  measured(
      "trainable", "trainable", [](const RunRow& r) { return formatCount(r.trainable); },
      [](const RunRow& r) { return r.trainable; });
  measured(
      "training time", "seconds", [](const RunRow& r) { return formatSeconds(r.seconds); },
      [](const RunRow& r) { return std::isfinite(r.seconds) ? nlohmann::json(r.seconds) : nlohmann::json(); });
  measured(
      "peak memory", "peak_memory",
      [](const RunRow& r) { return r.peakMemory > 0 ? formatBytes(static_cast<double>(r.peakMemory)) : ""; },
      [](const RunRow& r) { return r.peakMemory; });
  context.print(document, table);
  return 0;
}

void addCompare(CLI::App* store, CommandContext& context) {
  auto runs = std::make_shared<std::vector<std::string>>(), metrics = std::make_shared<std::vector<std::string>>();
  CLI::App* sub = store->add_subcommand("compare", "Where configs differ, and what came of it");
  sub->add_option("RUN", *runs, "Runs: uuid, beginning of it, or name")->required()->expected(2, 1000);
  sub->add_option("--metrics", *metrics, "Metrics to show (default: evaluations and training loss)")
      ->delimiter(',')
      ->type_name("NAME");
  context.run(sub, [&context, runs, metrics] { return compare(context, *runs, *metrics); });
}

}  // namespace

void addStoreCommand(CLI::App& root, CommandContext& context) {
  CLI::App* store = root.add_subcommand("store", "The history of all runs: list, compare, note, check, rebuild, copy");
  store->require_subcommand(1);
  addList(store, context);
  addShow(store, context);
  addCompare(store, context);
  addStoreEditing(store, context);
  addStoreCare(store, context);
}

}  // namespace rankscope

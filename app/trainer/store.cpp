// rankscope-train store: the history on the command line. list, show and compare read; the others keep it in order.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "app/trainer/commands.h"
#include "app/trainer/store_documents.h"
#include "core/config/files.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

Result<std::vector<std::string>> resolveAll(Store& store, const std::vector<std::string>& runs) {
  std::vector<std::string> ids;
  for (const std::string& run : runs) {
    Result<std::string> id = store.resolveRun(run);
    if (!id) return id.error();
    ids.push_back(std::move(*id));
  }
  return ids;
}

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
  line("step", fmt::format("{} of {}, {} tokens, {}", run->step, run->totalSteps, formatCount(run->tokens),
                           formatSeconds(run->seconds)));
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
  Result<std::vector<std::string>> ids = resolveAll(**store, names);
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

// --- care ---------------------------------------------------------------------------------------------------------
int reportIngest(CommandContext& context, const IngestReport& report) {
  for (const Error& problem : report.problems) context.warn(problem.message());
  context.print(ingestDocument(report),
                fmt::format("{} runs looked at, {} added, {} changed, {} events read", report.runsSeen,
                            report.runsAdded, report.runsChanged, report.events));
  return report.problems.empty() ? 0 : exitCode(report.problems.front().code);
}

void addIngest(CLI::App* store, CommandContext& context) {
  auto folders = std::make_shared<std::vector<std::string>>();
  CLI::App* sub = store->add_subcommand(
      "ingest", "Take in what is new in the run folders (every other command does this by itself)");
  sub->add_option("FOLDER", *folders,
                  "Run folders elsewhere, for example copied from a cluster (default: those of this home)")
      ->type_name("DIR");
  context.run(sub, [&context, folders]() -> int {
    Result<std::unique_ptr<Store>> opened = Store::open(context.places.store, Store::Mode::ReadWrite);
    if (!opened) return context.fail(opened.error());
    if (folders->empty()) return reportIngest(context, ingestRuns(**opened, context.places.runs));
    IngestReport all;
    for (const std::string& folder : *folders) {
      Result<IngestReport> one = ingestRun(**opened, folder);
      if (!one) {
        all.problems.push_back(one.error());
        continue;
      }
      all.runsSeen += one->runsSeen, all.runsAdded += one->runsAdded, all.runsChanged += one->runsChanged,
          all.events += one->events;
      all.changedIds.insert(all.changedIds.end(), one->changedIds.begin(), one->changedIds.end());
    }
    return reportIngest(context, all);
  });
}

void addCheck(CLI::App* store, CommandContext& context) {
  auto quick = std::make_shared<bool>(false);
  CLI::App* sub = store->add_subcommand("check", "Whether the store's file is sound");
  sub->add_flag("--quick", *quick, "Leave out the indices");
  context.run(sub, [&context, quick]() -> int {
    Result<std::unique_ptr<Store>> opened = Store::open(context.places.store, Store::Mode::ReadOnly);
    if (!opened) return context.fail(opened.error());
    Result<StoreCheck> report = (*opened)->check(!*quick);
    if (!report) return context.fail(report.error());
    context.print({{"sound", report->sound},
                   {"problems", report->problems},
                   {"runs", report->runs},
                   {"jobs", report->jobs},
                   {"bytes", report->bytes},
                   {"version", report->version}},
                  report->sound ? fmt::format("sound: {} runs, {} jobs, {}", report->runs, report->jobs,
                                              formatBytes(static_cast<double>(report->bytes)))
                                : fmt::format("damaged:\n  {}\nRun `rankscope-train store rebuild`.",
                                              fmt::join(report->problems, "\n  ")));
    return report->sound ? 0 : exitCode(ErrorCode::Store);
  });
}

void addRebuild(CLI::App* store, CommandContext& context) {
  CLI::App* sub =
      store->add_subcommand("rebuild", "Make the history again from the run folders; notes, tags and settings stay");
  context.run(sub, [&context]() -> int {
    Result<RebuildReport> report = rebuildStore(context.places.store);
    if (!report) return context.fail(report.error());
    for (const Error& problem : report->ingest.problems) context.warn(problem.message());
    for (const std::string& table : report->lost)
      context.warn("not everything of table " + table + " could be read from the damaged file");
    nlohmann::json document = ingestDocument(report->ingest);
    document["was_damaged"] = report->wasDamaged;
    document["moved_aside"] = pathText(report->movedAside);
    document["user_rows_saved"] = report->userRowsSaved;
    document["kept_without_folder"] = report->keptWithoutFolder;
    document["lost"] = report->lost;
    std::string text =
        fmt::format("{} runs made again, {} events read", report->ingest.runsChanged, report->ingest.events);
    if (report->wasDamaged)
      text += fmt::format("\nThe file was damaged and is now {}; {} notes, tags, settings and jobs were saved from it",
                          pathText(report->movedAside), report->userRowsSaved);
    if (report->keptWithoutFolder > 0)
      text += fmt::format("\n{} runs whose folders are gone were kept as they were", report->keptWithoutFolder);
    context.print(document, text);
    return 0;
  });
}

void addBackupAndMerge(CLI::App* store, CommandContext& context) {
  auto to = std::make_shared<std::string>();
  CLI::App* backup = store->add_subcommand("backup", "A copy of the store's file, also while it is in use");
  backup->add_option("FILE", *to, "Where to; must not exist")->required();
  context.run(backup, [&context, to]() -> int {
    Result<std::unique_ptr<Store>> opened = Store::open(context.places.store, Store::Mode::ReadOnly);
    if (!opened) return context.fail(opened.error());
    if (Result<void> made = (*opened)->backup(*to); !made) return context.fail(made.error());
    std::error_code failure;
    const auto bytes = fs::file_size(*to, failure);
    context.print({{"file", *to}, {"bytes", bytes}},
                  fmt::format("{} ({})", *to, formatBytes(static_cast<double>(bytes))));
    return 0;
  });
  auto from = std::make_shared<std::string>();
  CLI::App* merge =
      store->add_subcommand("merge", "Take in the runs of another store; what is here already stays as it is");
  merge->add_option("STORE", *from, "The other store.sqlite, or the home it lies in")->required();
  context.run(merge, [&context, from]() -> int {
    Result<std::unique_ptr<Store>> opened = openCurrentStore(context);
    if (!opened) return context.fail(opened.error());
    std::error_code failure;
    const fs::path other = fs::is_directory(*from, failure) ? fs::path(*from) / "store.sqlite" : fs::path(*from);
    Result<MergeReport> report = (*opened)->merge(other);
    if (!report) return context.fail(report.error());
    for (const Error& problem : report->problems) context.warn(problem.message());
    context.print({{"added", report->added},
                   {"present", report->present},
                   {"folders_copied", report->foldersCopied},
                   {"user_data_taken", report->userDataTaken},
                   {"problems", report->problems.size()}},
                  fmt::format("{} runs added ({} with their folders), {} were here already", report->added,
                              report->foldersCopied, report->present));
    return report->problems.empty() ? 0 : exitCode(report->problems.front().code);
  });
}

// --- edit, delete -------------------------------------------------------------------------------------------------
struct EditArguments {
  std::vector<std::string> runs, tags, untags;
  std::string name, note, colour;
  bool star = false, unstar = false, archive = false, unarchive = false;
};

Result<void> edit(Store& store, const EditArguments& wanted, const CLI::App& sub, const std::vector<std::string>& ids) {
  const auto given = [&sub](const char* option) { return sub.count(option) > 0; };
  std::vector<Result<void>> done;
  for (const std::string& id : ids) {
    if (given("--name")) done.push_back(store.setName(id, wanted.name));
    if (given("--note")) done.push_back(store.setNote(id, wanted.note));
  }
  if (!wanted.tags.empty()) done.push_back(store.addTags(ids, wanted.tags));
  if (!wanted.untags.empty()) done.push_back(store.removeTags(ids, wanted.untags));
  if (given("--colour")) done.push_back(store.setColour(ids, wanted.colour));
  if (wanted.star || wanted.unstar) done.push_back(store.setStarred(ids, wanted.star));
  if (wanted.archive || wanted.unarchive) done.push_back(store.setArchived(ids, wanted.archive));
  for (const Result<void>& each : done)
    if (!each) return each;
  return {};
}

void addEdit(CLI::App* store, CommandContext& context) {
  auto arguments = std::make_shared<EditArguments>();
  CLI::App* sub = store->add_subcommand("edit", "Name, note, tags, colour, star and archive of runs");
  sub->add_option("RUN", arguments->runs, "Runs: uuid, beginning of it, or name")->required();
  sub->add_option("--name", arguments->name, "Name to show (\"\": the config's own again)")->type_name("TEXT");
  sub->add_option("--note", arguments->note, "Note, in Markdown")->type_name("TEXT");
  sub->add_option("--tag", arguments->tags, "Tags to add")->delimiter(',')->type_name("TAG")->allow_extra_args(false);
  sub->add_option("--untag", arguments->untags, "Tags to take off")
      ->delimiter(',')
      ->type_name("TAG")
      ->allow_extra_args(false);
  sub->add_option("--colour", arguments->colour, "#rrggbb, or \"\" for the colour by method")->type_name("COLOUR");
  auto* star = sub->add_flag("--star", arguments->star, "Star");
  sub->add_flag("--unstar", arguments->unstar, "Take the star off")->excludes(star);
  auto* archive = sub->add_flag("--archive", arguments->archive, "Archive: hidden from lists, kept as it is");
  sub->add_flag("--unarchive", arguments->unarchive, "Back into lists")->excludes(archive);
  context.run(sub, [&context, arguments, sub]() -> int {
    Result<std::unique_ptr<Store>> opened = openCurrentStore(context);
    if (!opened) return context.fail(opened.error());
    Result<std::vector<std::string>> ids = resolveAll(**opened, arguments->runs);
    if (!ids) return context.fail(ids.error());
    if (Result<void> done = edit(**opened, *arguments, *sub, *ids); !done) return context.fail(done.error());
    context.print({{"runs", *ids}}, fmt::format("{} runs changed", ids->size()));
    return 0;
  });
}

void addTrash(CLI::App* store, CommandContext& context) {
  enum class What { Delete, Restore, Empty };
  const auto add = [&](const char* name, const char* help, What what) {
    auto runs = std::make_shared<std::vector<std::string>>();
    CLI::App* sub = store->add_subcommand(name, help);
    auto* option = sub->add_option("RUN", *runs, "Runs: uuid, beginning of it, or name");
    if (what != What::Empty) option->required();
    context.run(sub, [&context, runs, what]() -> int {
      Result<std::unique_ptr<Store>> opened = openCurrentStore(context);
      if (!opened) return context.fail(opened.error());
      Result<std::vector<std::string>> ids = resolveAll(**opened, *runs);
      if (!ids) return context.fail(ids.error());
      if (what == What::Empty) {
        Result<int64_t> freed = (*opened)->emptyTrash(*ids);
        if (!freed) return context.fail(freed.error());
        context.print({{"bytes", *freed}}, formatBytes(static_cast<double>(*freed)) + " freed");
        return 0;
      }
      Result<void> done = what == What::Delete ? (*opened)->deleteRuns(*ids) : (*opened)->restoreRuns(*ids);
      if (!done) return context.fail(done.error());
      context.print({{"runs", *ids}},
                    what == What::Delete
                        ? fmt::format("{} runs moved to the trash; `store restore` brings them back", ids->size())
                        : fmt::format("{} runs restored", ids->size()));
      return 0;
    });
  };
  add("delete", "Move runs to the trash", What::Delete);
  add("restore", "Bring runs back from the trash", What::Restore);
  add("empty-trash", "Delete for good what is in the trash, or only these runs", What::Empty);
}

}  // namespace

void addStoreCommand(CLI::App& root, CommandContext& context) {
  CLI::App* store = root.add_subcommand("store", "The history of all runs: list, compare, note, check, rebuild, copy");
  store->require_subcommand(1);
  addList(store, context);
  addShow(store, context);
  addCompare(store, context);
  addEdit(store, context);
  addTrash(store, context);
  addIngest(store, context);
  addCheck(store, context);
  addRebuild(store, context);
  addBackupAndMerge(store, context);
}

}  // namespace rankscope

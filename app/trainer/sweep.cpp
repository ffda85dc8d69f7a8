// rankscope-train sweep: one config over a grid of options and seeds, as a named group of the queue.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "app/trainer/commands.h"
#include "app/trainer/config_arguments.h"
#include "app/trainer/queue_runner.h"
#include "app/trainer/store_documents.h"
#include "app/trainer/sweep_plan.h"
#include "core/runlog/run_folder.h"

namespace rankscope {
namespace {

struct SweepArguments {
  ConfigArguments config;
  std::vector<std::string> over;
  std::vector<int64_t> seeds;
  std::string group, show, slot = "any";
  bool held = false, run = false, plan = false;
};

bool ended(const Job& job) {
  return job.state == JobState::Done || job.state == JobState::Failed || job.state == JobState::Cancelled;
}

Result<std::vector<Job>> jobsOf(Store& store, const std::string& group) {
  Result<std::vector<Job>> jobs = store.listJobs();
  if (!jobs) return jobs;
  std::erase_if(*jobs, [&](const Job& job) { return job.spec.group != group || job.spec.kind != "train"; });
  std::sort(jobs->begin(), jobs->end(), [](const Job& a, const Job& b) { return a.id < b.id; });
  return jobs;
}

// A name that no other sweep in the queue has.
Result<std::string> freeGroup(Store& store, const std::string& wanted) {
  for (int number = 1;; ++number) {
    const std::string name = number == 1 ? wanted : fmt::format("{} ({})", wanted, number);
    Result<std::vector<Job>> jobs = jobsOf(store, name);
    if (!jobs) return jobs.error();
    if (jobs->empty()) return name;
  }
}

// Keys in which the group's runs differ: the axes, found again from what the jobs froze. An option that has one value
// wherever it applies is none: it only came and went with another option.
std::vector<std::string> keysOf(const std::vector<SweepRun>& runs) {
  std::vector<RunConfig> configs;
  for (const SweepRun& run : runs) configs.push_back(run.config);
  std::vector<std::string> keys;
  for (const ConfigDifference& difference : differences(configs)) {
    std::set<nlohmann::json> values(difference.values.begin(), difference.values.end());
    values.erase(nlohmann::json());
    if (values.size() > 1) keys.push_back(difference.key);
  }
  return keys;
}

int showGroup(CommandContext& context, Store& store, const std::string& group, std::vector<std::string> keys) {
  ingestRuns(store, context.places.runs);
  Result<std::vector<Job>> jobs = jobsOf(store, group);
  if (!jobs) return context.fail(jobs.error());
  if (jobs->empty())
    return context.fail({ErrorCode::Usage, "the queue holds no sweep of this name", "--show", group, "the group of a sweep",
                         "Look at the groups in `rankscope-train queue list --json`; jobs taken off the list are gone."});
  std::vector<SweepRun> runs;
  for (Job& job : *jobs) {
    Result<RunConfig> config = RunConfig::parse(job.spec.config);
    if (!config) return context.fail(config.error());
    SweepRun run{std::move(*config), std::move(job), std::nullopt};
    if (Result<RunRow> row = store.run(run.job.spec.runId); row) run.row = std::move(*row);
    runs.push_back(std::move(run));
  }
  if (keys.empty()) keys = keysOf(runs);
  SweepTable table = sweepTable(keys, runs);
  for (const SweepRun& run : runs)
    if (run.job.state == JobState::Failed)
      context.warn(fmt::format("job {} ({}): {}", run.job.id, run.job.spec.name,
                               run.job.error ? run.job.error->message() : "failed"));
  context.print({{"group", group}, {"keys", keys}, {"places", table.document}}, table.table);
  return 0;
}

// Works through the group; where another runner looks after the slots, waits for it to do so.
Result<QueueRunnerReport> runGroup(CommandContext& context, Store& store, const std::string& group,
                                   const std::string& slot) {
  const std::atomic<bool>& stop = stopOnSignals();
  QueueRunnerSettings settings;
  settings.program = context.program;
  if (slot != "any") settings.slots = {slot};
  settings.group = group;
  settings.say = [&context](const std::string& line) { context.note(line); };
  QueueRunnerReport total;
  for (bool told = false;; told = true) {
    Result<QueueRunnerReport> report = runQueue(context.places, settings, stop);
    if (!report) return report;
    total.done += report->done, total.failed += report->failed, total.cancelled += report->cancelled;
    total.stopped = report->stopped;
    Result<std::vector<Job>> jobs = jobsOf(store, group);
    if (!jobs) return jobs.error();
    const bool waiting = std::any_of(jobs->begin(), jobs->end(),
                                     [](const Job& job) { return !ended(job) && job.state != JobState::Held; });
    if (report->stopped || stop || !waiting) return total;
    if (!told) context.note("another runner is at work; waiting for it");
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

int runSweep(CommandContext& context, const SweepArguments& arguments) {
  if (!arguments.show.empty()) {
    Result<std::unique_ptr<Store>> store = openCurrentStore(context);
    if (!store) return context.fail(store.error());
    return showGroup(context, **store, arguments.show, {});
  }
  if (arguments.over.empty() && arguments.seeds.empty())
    return context.fail({ErrorCode::Usage, "there is nothing to sweep over", "command line", "", "--over or --seeds",
                         "For instance --over method.rank=2,4,8 --over method.name=lora,reflora --seeds 0,1,2."});
  std::vector<Error> mistakes;
  std::vector<SweepAxis> axes;
  for (const std::string& text : arguments.over) {
    Result<SweepAxis> axis = parseSweepAxis(text);
    if (!axis)
      mistakes.push_back(axis.error());
    else
      axes.push_back(std::move(*axis));
  }
  Result<RunConfig> base = arguments.config.readUnchecked(context.places, mistakes);
  if (!base && mistakes.empty()) return context.fail(base.error());
  if (!mistakes.empty()) return context.fail(mistakes);
  Result<SweepPlan> plan = planSweep(*base, std::move(axes), arguments.seeds, context.places, mistakes);
  if (!plan) return context.fail(mistakes.empty() ? std::vector<Error>{plan.error()} : mistakes);
  if (plan->alike > 0)
    context.note(fmt::format("{} places of the grid are left out: an option does not apply there, and they would repeat "
                             "another run",
                             plan->alike));

  std::vector<JobSpec> specs;
  TextTable table;
  table.header = {"run"};
  nlohmann::json documents = nlohmann::json::array();
  for (const RunConfig& config : plan->configs) {
    const RunConfig frozen = frozenConfig(config, context.places);
    JobSpec spec;
    spec.name = frozen.str("name");
    spec.config = frozen.toJson();
    spec.slot = arguments.slot;
    spec.held = arguments.held;
    table.rows.push_back({spec.name});
    documents.push_back({{"name", spec.name}, {"config", spec.config}});
    specs.push_back(std::move(spec));
  }
  if (arguments.plan) {
    context.print({{"keys", plan->keys}, {"runs", documents}}, table);
    return 0;
  }
  if (auto made = context.places.ensure(); !made) return context.fail(made.error());
  Result<std::unique_ptr<Store>> store = Store::open(context.places.store, Store::Mode::ReadWrite);
  if (!store) return context.fail(store.error());
  std::string wanted = arguments.group;
  if (wanted.empty()) wanted = base->str("name");
  if (wanted.empty()) wanted = arguments.config.preset.empty() ? "sweep" : arguments.config.preset;
  Result<std::string> group = freeGroup(**store, wanted);
  if (!group) return context.fail(group.error());
  for (JobSpec& spec : specs) spec.group = *group;
  Result<std::vector<Job>> jobs = (*store)->addJobs(specs);
  if (!jobs) return context.fail(jobs.error());

  if (!arguments.run) {
    nlohmann::json queued = nlohmann::json::array();
    for (const Job& job : *jobs) queued.push_back(jobDocument(job));
    context.print({{"group", *group}, {"keys", plan->keys}, {"jobs", queued}},
                  jobTable(*jobs).toText() +
                      fmt::format("{} runs wait as \"{}\". `rankscope-train queue run --group {}` works through them, "
                                  "`rankscope-train sweep --show {}` shows what came of it.\n",
                                  jobs->size(), *group, shellQuote(*group), shellQuote(*group)));
    return 0;
  }
  context.note(fmt::format("{} runs as \"{}\"", jobs->size(), *group));
  Result<QueueRunnerReport> report = runGroup(context, **store, *group, arguments.slot);
  if (!report) return context.fail(report.error());
  if (const int shown = showGroup(context, **store, *group, plan->keys); shown != 0) return shown;
  if (report->stopped) return exitCode(ErrorCode::Interrupted);
  return report->failed > 0 ? exitCode(ErrorCode::Training) : 0;
}

}  // namespace

void addSweepCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("sweep", "Queue one config over a grid of options and seeds, and compare the results");
  auto arguments = std::make_shared<SweepArguments>();
  arguments->config.declare(sub);
  sub->add_option("--over", arguments->over,
                  "An option and the values it takes: key=a,b,c (semicolons where a value holds commas); may be given often")
      ->type_name("KEY=VALUES")
      ->take_all()
      ->allow_extra_args(false);
  sub->add_option("--seeds", arguments->seeds, "Seeds, with commas between them: each place of the grid runs once with each")
      ->delimiter(',')
      ->type_name("N,N,…");
  sub->add_option("--group", arguments->group, "Name of the sweep in the queue (default: the run's name or the preset's)")
      ->type_name("TEXT");
  sub->add_option("--slot", arguments->slot, "Device: any, cpu, cuda:0, …")->capture_default_str();
  sub->add_flag("--held", arguments->held, "Let the jobs wait until released");
  sub->add_flag("--run", arguments->run, "Run them now, one after another, and print the table");
  sub->add_flag("--plan", arguments->plan, "Only list the runs that it would make");
  sub->add_option("--show", arguments->show, "Only print the table of a sweep that is in the queue")->type_name("GROUP");
  context.run(sub, [&context, arguments] { return runSweep(context, *arguments); });
}

}  // namespace rankscope

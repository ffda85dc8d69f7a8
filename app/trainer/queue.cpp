// rankscope-train queue: jobs for the night. add, list, move, hold, release, cancel, retry, remove, run.

#include <fmt/format.h>

#include "app/trainer/commands.h"
#include "app/trainer/config_arguments.h"
#include "app/trainer/queue_job.h"
#include "app/trainer/queue_runner.h"
#include "app/trainer/store_documents.h"
#include "core/runlog/run_folder.h"

namespace rankscope {
namespace {

struct AddArguments {
  ConfigArguments config;
  std::string slot = "any", group;
  bool held = false;
  std::vector<std::string> command;
};

Result<JobSpec> jobFrom(CommandContext& context, const AddArguments& arguments, std::vector<Error>& mistakes) {
  JobSpec job;
  job.slot = arguments.slot;
  job.group = arguments.group;
  job.held = arguments.held;
  if (!arguments.command.empty()) {
    job.kind = arguments.command.front();
    job.name =
        arguments.config.name.empty() ? fmt::format("{}", fmt::join(arguments.command, " ")) : arguments.config.name;
    job.config = {{"arguments", std::vector<std::string>(arguments.command.begin() + 1, arguments.command.end())}};
    if (job.kind == "train")
      return Error{ErrorCode::Usage,
                   "a training run is queued by its config",
                   "command line",
                   "train",
                   "--config, --preset or --set",
                   "Write `queue add --preset NAME --set …` without a command."};
    if (job.kind == "resume" && arguments.command.size() > 1) {
      Result<RunFolder> run = resolveRun(context.places.runs, arguments.command[1]);
      if (!run) return run.error();
      job.runId = run->id();
      job.config["arguments"][0] = run->id();
    }
    Job trial;
    trial.spec = job;
    if (Result<std::vector<std::string>> line = jobArguments(trial, context.places, "config.json"); !line)
      return line.error();
    return job;
  }
  if (arguments.config.nothingSaid())
    return Error{ErrorCode::Usage,
                 "no config was given",
                 "command line",
                 "",
                 "--config, --preset or --set",
                 "Try `rankscope-train queue add --preset NAME`, or `queue add -- eval RUN …` for another job."};
  Result<RunConfig> config = arguments.config.read(context.places, mistakes);
  if (!config) return config.error();
  const RunConfig frozen = frozenConfig(*config, context.places);
  job.name = frozen.str("name");
  job.config = frozen.toJson();
  return job;
}

void addAdd(CLI::App* queue, CommandContext& context) {
  auto arguments = std::make_shared<AddArguments>();
  CLI::App* sub = queue->add_subcommand("add", "Queue a training run, or after -- any other job");
  arguments->config.declare(sub);
  sub->add_option("--slot", arguments->slot, "Device: any, cpu, cuda:0, …")->capture_default_str();
  sub->add_option("--group", arguments->group, "Jobs that belong together")->type_name("TEXT");
  sub->add_flag("--held", arguments->held, "Wait until released");
  sub->add_option("COMMAND", arguments->command, "Another job than training, for example: -- eval RUN --data FILE");
  context.run(sub, [&context, arguments]() -> int {
    std::vector<Error> mistakes;
    Result<JobSpec> spec = jobFrom(context, *arguments, mistakes);
    if (!spec) return context.fail(mistakes.empty() ? std::vector<Error>{spec.error()} : mistakes);
    if (auto made = context.places.ensure(); !made) return context.fail(made.error());
    Result<std::unique_ptr<Store>> store = Store::open(context.places.store, Store::Mode::ReadWrite);
    if (!store) return context.fail(store.error());
    Result<Job> job = (*store)->addJob(*spec);
    if (!job) return context.fail(job.error());
    context.print(jobDocument(*job),
                  fmt::format("job {}{}", job->id, job->spec.runId.empty() ? "" : ", run " + job->spec.runId));
    return 0;
  });
}

void addList(CLI::App* queue, CommandContext& context) {
  auto waiting = std::make_shared<bool>(false);
  CLI::App* sub = queue->add_subcommand("list", "What runs, what waits in which order, what has ended");
  sub->add_flag("--waiting", *waiting, "Leave out what has ended");
  context.run(sub, [&context, waiting]() -> int {
    Result<std::unique_ptr<Store>> store = openCurrentStore(context);
    if (!store) return context.fail(store.error());
    Result<std::vector<Job>> jobs = (*store)->listJobs(!*waiting);
    if (!jobs) return context.fail(jobs.error());
    nlohmann::json document = nlohmann::json::array();
    for (const Job& job : *jobs) document.push_back(jobDocument(job));
    context.print(document, jobTable(*jobs));
    return 0;
  });
}

// hold, release, cancel, retry, remove: one job number and one call of the store.
void addSimple(CLI::App* queue, CommandContext& context, const char* name, const char* help,
               Result<void> (*change)(Store&, int64_t)) {
  auto ids = std::make_shared<std::vector<int64_t>>();
  CLI::App* sub = queue->add_subcommand(name, help);
  sub->add_option("JOB", *ids, "Numbers of jobs (queue list)")->required();
  context.run(sub, [&context, ids, change]() -> int {
    Result<std::unique_ptr<Store>> store = Store::open(context.places.store, Store::Mode::ReadWrite);
    if (!store) return context.fail(store.error());
    nlohmann::json document = nlohmann::json::array();
    std::string text;
    for (const int64_t id : *ids) {
      if (Result<void> done = change(**store, id); !done) return context.fail(done.error());
      if (const Result<Job> job = (*store)->job(id); job) {
        document.push_back(jobDocument(*job));
        text +=
            fmt::format("job {}: {}{}\n", id, jobStateName(job->state), job->cancelRequested ? ", asked to stop" : "");
      } else {
        document.push_back({{"id", id}, {"state", "removed"}});
        text += fmt::format("job {}: removed\n", id);
      }
    }
    context.print(document, text);
    return 0;
  });
}

void addMove(CLI::App* queue, CommandContext& context) {
  struct Arguments {
    int64_t job = 0, place = 1;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* sub = queue->add_subcommand("move", "Give a waiting job another place");
  sub->add_option("JOB", arguments->job, "Number of the job")->required();
  sub->add_option("PLACE", arguments->place, "Its new place among those that wait, from 1")->required();
  context.run(sub, [&context, arguments]() -> int {
    Result<std::unique_ptr<Store>> store = Store::open(context.places.store, Store::Mode::ReadWrite);
    if (!store) return context.fail(store.error());
    if (Result<void> moved = (*store)->moveJob(arguments->job, arguments->place - 1); !moved)
      return context.fail(moved.error());
    Result<std::vector<Job>> jobs = (*store)->listJobs(false);
    if (!jobs) return context.fail(jobs.error());
    nlohmann::json document = nlohmann::json::array();
    for (const Job& job : *jobs) document.push_back(jobDocument(job));
    context.print(document, jobTable(*jobs));
    return 0;
  });
}

void addRun(CLI::App* queue, CommandContext& context) {
  struct Arguments {
    std::vector<std::string> slots;
    std::string group;
    bool keep = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* sub = queue->add_subcommand("run", "Work through the queue, one job per device, and end when it is empty");
  sub->add_option("--slot", arguments->slots, "Devices to use: cpu, cuda:0, … (default: every GPU, else cpu)")
      ->delimiter(',')
      ->type_name("SLOT");
  sub->add_option("--group", arguments->group, "Only the jobs of this group")->type_name("TEXT");
  sub->add_flag("--keep", arguments->keep, "Stay and wait for more when the queue is empty");
  context.run(sub, [&context, arguments]() -> int {
    if (auto made = context.places.ensure(); !made) return context.fail(made.error());
    QueueRunnerSettings settings;
    settings.program = context.program;
    settings.slots = arguments->slots;
    settings.group = arguments->group;
    settings.keepWaiting = arguments->keep;
    settings.say = [&context](const std::string& line) { context.note(line); };
    Result<QueueRunnerReport> report = runQueue(context.places, settings, stopOnSignals());
    if (!report) return context.fail(report.error());
    for (const std::string& slot : report->busySlots) context.note("another runner looks after " + slot);
    context.print({{"done", report->done},
                   {"failed", report->failed},
                   {"cancelled", report->cancelled},
                   {"busy_slots", report->busySlots},
                   {"stopped", report->stopped}},
                  fmt::format("{} done, {} failed, {} cancelled{}", report->done, report->failed, report->cancelled,
                              report->stopped ? "; stopped before the end" : ""));
    return report->stopped ? exitCode(ErrorCode::Interrupted) : 0;
  });
}

}  // namespace

void addQueueCommand(CLI::App& root, CommandContext& context) {
  CLI::App* queue = root.add_subcommand("queue", "Jobs that run one after another, also overnight");
  queue->require_subcommand(1);
  addAdd(queue, context);
  addList(queue, context);
  addMove(queue, context);
  addSimple(queue, context, "hold", "Let waiting jobs wait until released",
            [](Store& store, int64_t id) { return store.holdJob(id, true); });
  addSimple(queue, context, "release", "Let held jobs run when their turn comes",
            [](Store& store, int64_t id) { return store.holdJob(id, false); });
  addSimple(queue, context, "cancel", "Cancel waiting jobs; running ones are stopped after a checkpoint",
            [](Store& store, int64_t id) { return store.cancelJob(id); });
  addSimple(queue, context, "retry", "Let ended jobs wait again", [](Store& store, int64_t id) -> Result<void> {
    if (Result<Job> again = store.retryJob(id); !again) return again.error();
    return {};
  });
  addSimple(queue, context, "remove", "Take jobs that do not run off the list",
            [](Store& store, int64_t id) { return store.removeJob(id); });
  addRun(queue, context);
}

}  // namespace rankscope

// rankscope-train train, resume, branch: a run in the foreground.

#include <fmt/format.h>

#include "app/trainer/commands.h"
#include "app/trainer/config_arguments.h"
#include "app/trainer/progress_bar.h"
#include "core/config/task_heads.h"
#include "core/runlog/run_folder.h"
#include "core/train/trainer.h"

namespace rankscope {
namespace {

struct TrainArguments {
  ConfigArguments config;
  std::string id;
  bool prepareOnly = false;
};

std::string summaryText(const RunFolder& run, const TrainOutcome& outcome) {
  const nlohmann::json values = outcome.summary.value("values", nlohmann::json::object());
  std::string text = fmt::format("{}: {} after step {}\n", run.id(), event::runStateName(outcome.state), outcome.step);
  for (const char* name : {"train/loss", "eval/loss", "eval/accuracy", "eval/matthews", "eval/f1", "eval/pearson",
                           "eval/spearman", "eval/perplexity"})
    if (values.contains(name) && values[name].is_number())
      text += fmt::format("  {:<16} {}\n", name, formatNumber(values[name].get<double>(), 5));
  text += fmt::format("  {:<16} {} of {}\n", "trainable", formatCount(outcome.summary.value("trainable", int64_t{0})),
                      formatCount(outcome.summary.value("parameters", int64_t{0})));
  text += fmt::format("  {:<16} {}, {} {}\n", "training time", formatSeconds(outcome.summary.value("seconds", 0.0)),
                      formatCount(outcome.summary.value("tokens", int64_t{0})), outcome.summary.value("unit", kUsualUnit));
  text += fmt::format("  {:<16} {}\n", "peak memory", formatBytes(outcome.summary.value("peak_memory", 0.0)));
  text += fmt::format("  {:<16} {}", "folder", run.path().string());
  return text;
}

int trainAndReport(CommandContext& context, const RunFolder& run, bool resume) {
  context.note(fmt::format("run {}", run.id()));
  TrainOutcome outcome;
  {
    ProgressBar bar(context.verbosity < 0);
    TrainOptions options;
    options.resume = resume;
    options.progress = [&bar](const TrainProgress& progress) { bar.show(progress); };
    outcome = trainRun(run, context.places, options);
  }
  if (outcome.error && outcome.state == event::RunState::Failed) {
    context.fail(*outcome.error);
    return outcome.exitCode();
  }
  nlohmann::json document = {{"run", run.id()},
                             {"folder", run.path().string()},
                             {"state", event::runStateName(outcome.state)},
                             {"step", outcome.step},
                             {"summary", outcome.summary}};
  context.print(document, summaryText(run, outcome));
  return outcome.exitCode();
}

}  // namespace

void addTrainCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("train", "Train a run in the foreground; its folder appears under the runs folder");
  auto arguments = std::make_shared<TrainArguments>();
  arguments->config.declare(sub);
  sub->add_option("--id", arguments->id, "The new run's uuid (chosen by the queue)")->type_name("UUID");
  sub->add_flag("--prepare-only", arguments->prepareOnly,
                "Make the run's folder and stop; `resume` starts it");
  context.run(sub, [&context, arguments]() -> int {
    std::vector<Error> mistakes;
    if (arguments->config.nothingSaid())
      return context.fail({ErrorCode::Usage, "no config was given", "command line", "", "--config, --preset or --set",
                           "Try `rankscope-train presets`, then `rankscope-train train --preset NAME`."});
    Result<RunConfig> config = arguments->config.read(context.places, mistakes);
    if (!config) return context.fail(mistakes.empty() ? std::vector<Error>{config.error()} : mistakes);
    if (auto made = context.places.ensure(); !made) return context.fail(made.error());
    RunOrigin origin;
    origin.id = arguments->id;
    Result<RunFolder> run = RunFolder::create(context.places, *config, origin);
    if (!run) return context.fail(run.error());
    if (arguments->prepareOnly) {
      context.print({{"run", run->id()}, {"folder", run->path().string()}}, run->id());
      return 0;
    }
    return trainAndReport(context, *run, false);
  });
}

void addResumeCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("resume", "Go on with a run from its newest good checkpoint, to the same bits");
  auto name = std::make_shared<std::string>();
  sub->add_option("RUN", *name, "Run: uuid, beginning of it, or name")->required();
  context.run(sub, [&context, name]() -> int {
    Result<RunFolder> run = resolveRun(context.places.runs, *name);
    if (!run) return context.fail(run.error());
    return trainAndReport(context, *run, true);
  });
}

void addBranchCommand(CLI::App& root, CommandContext& context) {
  struct Arguments {
    std::string run, id;
    int64_t at = -1;
    ConfigArguments config;
  };
  CLI::App* sub = root.add_subcommand("branch", "A new run that goes on from a checkpoint of another");
  auto arguments = std::make_shared<Arguments>();
  sub->add_option("RUN", arguments->run, "Run: uuid, beginning of it, or name")->required();
  sub->add_option("--at", arguments->at, "Step of the checkpoint (default: the newest good one)")->type_name("STEP");
  sub->add_option("--id", arguments->id, "The new run's uuid (chosen by the queue)")->type_name("UUID");
  arguments->config.declare(sub);  // with neither file nor preset: the other run's config
  context.run(sub, [&context, arguments]() -> int {
    Result<RunFolder> parent = resolveRun(context.places.runs, arguments->run);
    if (!parent) return context.fail(parent.error());
    ConfigArguments& given = arguments->config;
    const bool whole = !given.file.empty() || !given.preset.empty();
    std::vector<Error> mistakes;
    Result<RunConfig> config = whole ? given.readUnchecked(context.places, mistakes) : parent->config();
    if (!config) return context.fail(mistakes.empty() ? std::vector<Error>{config.error()} : mistakes);
    if (!whole) {
      if (auto assigned = given.assignTo(*config, mistakes); !assigned) return context.fail(assigned.error());
      const std::string childName = given.name.empty() ? config->str("name") + " (branch)" : given.name;
      if (auto named = config->set("name", childName); !named) return context.fail(named.error());
    }
    if (mistakes.empty()) mistakes = configMistakes(*config, context.places);
    if (!mistakes.empty()) return context.fail(mistakes);
    std::vector<Error> warnings;
    Result<RunFolder> child =
        branchRun(*parent, context.places, *config, arguments->at, warnings, arguments->id);
    for (const Error& warning : warnings) context.warn(warning.message());
    if (!child) return context.fail(child.error());
    return trainAndReport(context, *child, true);
  });
}

}  // namespace rankscope

// rankscope-train eval: metrics of a run or a model on data.

#include <fmt/format.h>
#include <unistd.h>

#include "app/trainer/commands.h"
#include "app/trainer/subject.h"
#include "core/config/files.h"
#include "core/runlog/event_log.h"
#include "core/train/evaluation.h"

namespace rankscope {
namespace {

struct EvalArguments {
  SubjectArguments subject;
  std::string task, data;
  bool noRecord = false;
};

// The set to score: the run's own evaluation data, or the file that was given.
Result<TokenizedSet> evaluationSet(const CommandContext& context, const EvalArguments& arguments, TrainedModel& trained) {
  if (arguments.data.empty()) return std::move(trained.setup.data.eval);
  RunConfig config = trained.setup.config;
  for (const ValidationIssue& issue : config.assign(arguments.subject.assignments)) return issue.error;
  // A plain model's config names no data; the file to score stands in for it.
  if (config.str("data.train").empty())
    if (auto set = config.set("data.train", arguments.data); !set) return set.error();
  Result<DataSettings> settings = DataSettings::fromConfig(config, context.places);
  if (!settings) return settings.error();
  Result<std::filesystem::path> path = context.places.resolve(arguments.data);
  if (!path) return path.error();
  if (!trained.setup.data.labels.empty()) settings->labels = trained.setup.data.labels;
  Result<PreparedFile> file = prepareFile(*path, *settings, *trained.setup.tokenizer);
  if (!file) return file.error();
  trained.setup.data.labels = file->labels;
  for (const DataProblem& problem : file->problems.items)
    context.detail(fmt::format("line {}: {}", problem.line, problem.message));
  if (file->problems.total > 0) context.warn(fmt::format("{} rows were passed over", file->problems.total));
  return std::move(file->set);
}

// Results belong to the run's record: under eval/ for its own data, under eval@FILE/ for other data.
Result<void> recordInRun(const TrainedModel& trained, const std::string& prefix,
                         const std::map<std::string, double>& values) {
  Result<std::unique_ptr<EventWriter>> events = EventWriter::open(trained.run->eventsFile());
  if (!events) return events.error();
  event::Eval eval;
  eval.at = {trained.step, trained.epoch, trained.tokens, trained.seconds};
  for (const auto& [name, value] : values) eval.values.emplace_back(prefix + name, value);
  (*events)->append(std::move(eval));
  return (*events)->close();
}

int evaluateSubject(CommandContext& context, EvalArguments& arguments) {
  const bool isRun = subjectRun(context, arguments.subject).ok();
  if (!isRun && arguments.data.empty())
    return context.fail({ErrorCode::Usage, "a model needs data to be evaluated on", "--data", "", "a file",
                         "Give --data FILE and --task TASK."});
  if (!arguments.task.empty()) arguments.subject.assignments.insert(arguments.subject.assignments.begin(),
                                                                    "data.task=" + arguments.task);
  Result<TrainedModel> trained = loadSubject(context, arguments.subject, isRun && arguments.data.empty());
  if (!trained) return context.fail(trained.error());
  Result<TokenizedSet> set = evaluationSet(context, arguments, *trained);
  if (!set) return context.fail(set.error());
  if (set->empty())
    return context.fail({ErrorCode::BadInput, "there is nothing to evaluate on",
                         arguments.data.empty() ? "data.eval" : arguments.data, "no usable example", "at least one",
                         "Look at the file with `rankscope-train data FILE`."});
  EvaluationOptions options;
  options.classes = static_cast<int64_t>(trained->setup.data.labels.size());
  const bool terminal = isatty(STDERR_FILENO) == 1 && context.verbosity >= 0;
  options.between = [terminal](double share) {
    if (terminal) fmt::print(stderr, "\r\033[Kevaluating {:.0f}%", 100 * share);
    return true;
  };
  Result<std::optional<Evaluation>> result = evaluate(*trained->setup.model, *set, trained->setup.task, options);
  if (terminal) fmt::print(stderr, "\r\033[K");
  if (!result) return context.fail(result.error());
  const Evaluation& evaluation = **result;

  const std::string prefix =
      arguments.data.empty() ? "eval/" : "eval@" + std::filesystem::path(arguments.data).filename().string() + "/";
  if (trained->run && !arguments.noRecord)
    if (auto recorded = recordInRun(*trained, prefix, evaluation.values); !recorded) return context.fail(recorded.error());

  nlohmann::json document = {{"step", trained->step}, {"examples", set->size()}, {"seconds", evaluation.seconds}};
  if (trained->run) document["run"] = trained->run->id();
  TextTable table;
  table.header = {"metric", "value"};
  table.rightAligned = {1};
  for (const auto& [name, value] : evaluation.values) {
    document["values"][name] = std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
    table.rows.push_back({name, formatNumber(value, 6)});
  }
  table.rows.push_back({"examples", formatCount(static_cast<int64_t>(set->size()))});
  table.rows.push_back({"seconds", formatNumber(evaluation.seconds, 3)});
  context.print(document, table);
  return 0;
}

}  // namespace

void addEvalCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("eval", "Score a run or a model on data; a run's result is added to its record");
  auto arguments = std::make_shared<EvalArguments>();
  arguments->subject.declare(sub, false);
  sub->add_option("--task", arguments->task, "causal_lm, instruction, classification or regression (for a model)");
  sub->add_option("--data", arguments->data, "Data file (default for a run: its own evaluation data)")->type_name("FILE");
  sub->add_option("--set", arguments->subject.assignments, "Data options: data.max_length=512, data.labels=a,b, …")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  sub->add_flag("--no-record", arguments->noRecord, "Do not add the result to the run's record");
  context.run(sub, [&context, arguments] { return evaluateSubject(context, *arguments); });
}

}  // namespace rankscope

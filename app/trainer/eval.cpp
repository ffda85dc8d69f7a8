// rankscope-train eval: metrics of a run or a model on data.

#include <fmt/format.h>

#include <cmath>

#include "app/trainer/commands.h"
#include "app/trainer/job_progress.h"
#include "app/trainer/subject.h"
#include "core/config/files.h"
#include "core/config/task_heads.h"
#include "core/runlog/event_log.h"
#include "core/train/evaluation.h"
#include "core/train/pseudo_likelihood.h"

namespace rankscope {
namespace {

struct EvalArguments {
  SubjectArguments subject;
  std::string task, data;
  bool noRecord = false, pseudo = false;
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
  if (settings->task != trained.setup.task) {
    if (headForTask(dataTaskName(settings->task)) != headForTask(dataTaskName(trained.setup.task)))
      return Error{ErrorCode::Usage, "the model's head cannot do this task", "--task", dataTaskName(settings->task),
                   "a task for its head: " + std::string(headName(trained.setup.head)), "Name another task or another model."};
    trained.setup.task = settings->task;
  }
  settings->image = trained.setup.dataSettings.image;
  Result<std::filesystem::path> path = context.places.resolve(arguments.data);
  if (!path) return path.error();
  if (!trained.setup.data.labels.empty()) settings->labels = trained.setup.data.labels;
  Result<PreparedFile> file = prepareFile(*path, *settings, trained.setup.tokenizer.get());
  if (!file) return file.error();
  trained.setup.data.labels = file->labels;
  for (const DataProblem& problem : file->problems.items)
    context.detail(fmt::format("line {}: {}", problem.line, problem.message));
  if (file->problems.total > 0) context.warn(fmt::format("{} rows were passed over", file->problems.total));
  return std::move(file->set);
}

std::string recordPrefix(const EvalArguments& arguments) {
  return arguments.data.empty() ? "eval/" : "eval@" + std::filesystem::path(arguments.data).filename().string() + "/";
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

int scoreSentences(CommandContext& context, const EvalArguments& arguments, TrainedModel& trained) {
  RunConfig config = trained.setup.config;
  for (const ValidationIssue& issue : config.assign(arguments.subject.assignments)) return context.fail(issue.error);
  if (auto set = config.set("data.train", arguments.data); !set) return context.fail(set.error());
  Result<DataSettings> settings = DataSettings::fromConfig(config, context.places);
  if (!settings) return context.fail(settings.error());
  ShareProgress progress(context, "scoring");
  Result<PseudoLikelihood> scored = scorePseudoLikelihood(*trained.setup.model, *trained.setup.tokenizer, settings->train,
                                                          *settings, [&progress](double share) { progress.say(share); });
  if (!scored) return context.fail(scored.error());
  if (scored->tooLong > 0)
    context.warn(fmt::format("{} sentences are longer than the model's positions and were passed over", scored->tooLong));
  const std::map<std::string, double> values = {{"pseudo_loss", scored->loss()},
                                                {"pseudo_perplexity", std::exp(scored->loss())}};
  if (trained.run && !arguments.noRecord)
    if (auto recorded = recordInRun(trained, recordPrefix(arguments), values); !recorded) return context.fail(recorded.error());
  nlohmann::json document = {{"values", values}, {"tokens", scored->tokens}, {"sentences", nlohmann::json::array()}};
  for (const SentenceScore& sentence : scored->sentences)
    document["sentences"].push_back({{"row", sentence.row}, {"line", sentence.line}, {"tokens", sentence.tokens},
                                     {"log_likelihood", sentence.logLikelihood}});
  TextTable table;
  table.header = {"metric", "value"};
  table.rightAligned = {1};
  for (const auto& [name, value] : values) table.rows.push_back({name, formatNumber(value, 6)});
  table.rows.push_back({"sentences", formatCount(static_cast<int64_t>(scored->sentences.size()))});
  table.rows.push_back({"tokens", formatCount(scored->tokens)});
  context.print(document, table);
  return 0;
}

int evaluateSubject(CommandContext& context, EvalArguments& arguments) {
  const bool isRun = subjectRun(context, arguments.subject).ok();
  if ((!isRun || arguments.pseudo) && arguments.data.empty())
    return context.fail({ErrorCode::Usage, "there is no data to be evaluated on", "--data", "", "a file",
                         "Give --data FILE and --task TASK."});
  if (arguments.pseudo && !isRun && arguments.task.empty()) arguments.task = "masked_lm";
  if (!arguments.task.empty()) arguments.subject.assignments.insert(arguments.subject.assignments.begin(),
                                                                    "data.task=" + arguments.task);
  sayProgress(context, 0, 100, "loading");
  Result<TrainedModel> trained = loadSubject(context, arguments.subject, isRun && arguments.data.empty());
  if (!trained) return context.fail(trained.error());
  if (!isRun)
    for (const std::string& remark : trained->setup.remarks) context.note(remark);
  if (arguments.pseudo) return scoreSentences(context, arguments, *trained);
  Result<TokenizedSet> set = evaluationSet(context, arguments, *trained);
  if (!set) return context.fail(set.error());
  if (set->empty())
    return context.fail({ErrorCode::BadInput, "there is nothing to evaluate on",
                         arguments.data.empty() ? "data.eval" : arguments.data, "no usable example", "at least one",
                         "Look at the file with `rankscope-train data FILE`."});
  EvaluationOptions options = evaluationOptions(trained->setup);
  ShareProgress progress(context, "evaluating");
  options.between = [&progress](double share) {
    progress.say(share);
    return true;
  };
  Result<std::optional<Evaluation>> result = evaluate(*trained->setup.model, *set, trained->setup.task, options);
  if (!result) return context.fail(result.error());
  const Evaluation& evaluation = **result;

  const std::string prefix = recordPrefix(arguments);
  if (trained->run && !arguments.noRecord)
    if (auto recorded = recordInRun(*trained, prefix, evaluation.values); !recorded) return context.fail(recorded.error());

  nlohmann::json document = {{"step", trained->step}, {"examples", set->size()}, {"seconds", evaluation.seconds},
                             {"task", dataTaskName(trained->setup.task)}, {"data", arguments.data}};
  if (trained->run) {
    document["run"] = trained->run->id();
    if (!arguments.noRecord) document["recorded"] = prefix;
  }
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
  sub->add_option("--task", arguments->task, "Task: of a model, or another one for the head of a run")
      ->check(CLI::IsMember(taskNames()));
  sub->add_option("--data", arguments->data, "Data file (default for a run: its own evaluation data)")->type_name("FILE");
  sub->add_option("--set", arguments->subject.assignments, "Data options: data.max_length=512, data.labels=a,b, …")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  sub->add_flag("--pseudo", arguments->pseudo,
                "Score each sentence of --data by its pseudo log-likelihood (masked language models)");
  sub->add_flag("--no-record", arguments->noRecord, "Do not add the result to the run's record");
  context.run(sub, [&context, arguments] { return evaluateSubject(context, *arguments); });
}

}  // namespace rankscope

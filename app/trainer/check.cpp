// rankscope-train check: every mistake of a config, and one batch for real.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "app/trainer/check_config.h"
#include "app/trainer/commands.h"
#include "app/trainer/config_arguments.h"
#include "core/config/task_heads.h"
#include "core/methods/factor_probes.h"
#include "core/train/process_memory.h"
#include "core/train/setup.h"
#include "core/train/trainer.h"

namespace rankscope {

namespace {

// Micro-batches of the step (of the first epoch) with the most tokens: what memory has to hold.
int64_t largestStep(StepPlan& plan, const TokenizedSet& set) {
  int64_t largest = 0;
  size_t most = 0;
  const int64_t steps = std::min(plan.stepsPerEpoch(), std::min<int64_t>(plan.totalSteps(), 10000));
  for (int64_t step = 0; step < steps; ++step)
    for (const std::vector<uint32_t>& batch : plan.microBatches(step)) {
      size_t tokens = 0;
      for (uint32_t index : batch) tokens += set.length(index);
      if (tokens > most) {
        most = tokens;
        largest = step;
      }
    }
  return largest;
}

}  // namespace

Result<CheckReport> checkConfig(const RunConfig& config, const Places& places, const std::atomic<bool>* cancel,
                                const std::function<void(const std::string&)>& progress) {
  // Made before anything is loaded, for the case that memory runs out.
  std::optional<RunEstimate> estimate;
  if (Result<RunEstimate> made = estimateRun(config, places, nullptr); made) estimate = *made;
  try {
    SetupOptions options;
    options.cancel = cancel;
    options.progress = progress;
    Result<TrainingSetup> setup = setUpTraining(config, places, options);
    if (!setup) return setup.error();
    const DataShape shape = dataShape(config, setup->data);
    if (Result<RunEstimate> made = estimateRun(config, places, &shape); made) estimate = *made;
    CheckReport report;
    report.memoryBefore = readProcessMemory().resident;
    setup->method->onStart(*setup->optimizer);
    StepEngine engine(*setup->model, *setup->method, *setup->optimizer, setup->schedule, setup->stepSettings);
    if (progress) progress("one step for real");
    const int64_t step = largestStep(setup->plan, setup->data.train);
    const std::vector<PackedBatch> batches = setup->packStep(step);
    // Twice: the first pass also pays for memory that later ones use again.
    for (int i = 0; i < 2; ++i) {
      if (cancel && *cancel)
        return Error{ErrorCode::Interrupted, "cancelled", "check", "", "", "Ask again when it is needed."};
      const auto start = std::chrono::steady_clock::now();
      Result<StepResult> result = engine.run(i, setup->plan.totalSteps(), batches);
      if (!result) return result.error();
      report.stepSeconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (i == 0) report.loss = result->loss;
      report.gradNorm = result->gradNorm;
      report.tokens = result->tokens;
    }
    report.peakMemory = readProcessMemory().peak;
    if (estimate) report.estimate = estimate->memory;
    report.trainable = setup->trainableCount();
    report.parameters = setup->parameterCount();
    report.totalSteps = setup->plan.totalSteps();
    report.trainExamples = static_cast<int64_t>(setup->data.train.size());
    report.evalExamples = static_cast<int64_t>(setup->data.eval.size());
    report.skippedRows = static_cast<int64_t>(setup->data.trainProblems.total);
    // A step at the average number of tokens, for the time of the whole run.
    const double average = static_cast<double>(setup->data.train.tokens()) / static_cast<double>(setup->plan.stepsPerEpoch());
    report.trainingSeconds = report.stepSeconds * average / static_cast<double>(std::max<int64_t>(1, report.tokens)) *
                             static_cast<double>(report.totalSteps);
    report.remarks = setup->remarks;
    return report;
  } catch (const std::exception& problem) {
    return errorFromException(problem, config, estimate, 0);
  }
}

nlohmann::json toJson(const CheckReport& report) {
  return {{"loss", report.loss},
          {"grad_norm", report.gradNorm},
          {"step_seconds", report.stepSeconds},
          {"tokens", report.tokens},
          {"training_seconds", report.trainingSeconds},
          {"peak_memory", report.peakMemory},
          {"estimated_memory", report.estimate.total},
          {"trainable", report.trainable},
          {"parameters", report.parameters},
          {"total_steps", report.totalSteps},
          {"train_examples", report.trainExamples},
          {"eval_examples", report.evalExamples},
          {"skipped_rows", report.skippedRows},
          {"remarks", report.remarks}};
}

void addCheckCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("check", "Name every mistake of a config, then run its largest batch for real");
  auto arguments = std::make_shared<ConfigArguments>();
  arguments->declare(sub);
  context.run(sub, [&context, arguments]() -> int {
    std::vector<Error> mistakes;
    Result<RunConfig> config = arguments->read(context.places, mistakes);
    if (!config) return context.fail(mistakes.empty() ? std::vector<Error>{config.error()} : mistakes);
    Result<CheckReport> report =
        checkConfig(*config, context.places, nullptr, [&context](const std::string& what) { context.detail(what); });
    if (!report) return context.fail(report.error());
    for (const std::string& remark : report->remarks) context.note(remark);
    TextTable table;
    table.header = {"check", ""};
    table.rows = {{"loss of the first step", formatNumber(report->loss, 5)},
                  {"gradient norm", formatNumber(report->gradNorm, 4)},
                  {"seconds a step", formatNumber(report->stepSeconds, 3) + " (" + formatCount(report->tokens) + " " +
                                        unitOfTask(config->str("data.task")) + ")"},
                  {"whole training", formatSeconds(report->trainingSeconds) + " in " + formatCount(report->totalSteps) + " steps"},
                  {"peak memory", formatBytes(static_cast<double>(report->peakMemory)) + ", of a whole run about " + memoryText(report->estimate)},
                  {"trainable", formatCount(report->trainable) + " of " + formatCount(report->parameters)},
                  {"examples", formatCount(report->trainExamples) + " to train on, " + formatCount(report->evalExamples) +
                                   " to evaluate on, " + formatCount(report->skippedRows) + " rows passed over"}};
    context.print(toJson(*report), table);
    return 0;
  });
}

}  // namespace rankscope

// rankscope-train merge: a run's update folded into its base model, as a folder that transformers loads.

#include <ATen/ATen.h>

#include "app/trainer/commands.h"
#include "app/trainer/job_progress.h"
#include "app/trainer/model_card.h"
#include "app/trainer/output_folder.h"
#include "core/config/files.h"
#include "core/train/run_output.h"

namespace rankscope {
namespace {

struct MergeArguments {
  OutputArguments output;
  std::string weights = "fp32";
  double shardGigabytes = 5;
};

struct WeightFormatChoice {
  const char* name;
  at::ScalarType type;
  double tolerance;  // of logits, as a share of the largest: rounding of the weights, many layers deep
};
constexpr WeightFormatChoice kChoices[] = {
    {"fp32", at::kFloat, kExactTolerance}, {"bf16", at::kBFloat16, 0.1}, {"fp16", at::kHalf, 0.02}};

int mergeRun(CommandContext& context, MergeArguments& arguments) {
  Result<RunFolder> run = subjectRun(context, arguments.output.subject);
  if (!run) return context.fail(run.error());
  Result<std::filesystem::path> folder = outputFolder(arguments.output);
  if (!folder) return context.fail(folder.error());
  Result<TrainedModel> trained = loadForOutput(context, arguments.output);
  if (!trained) return context.fail(trained.error());
  const WeightFormatChoice& choice =
      *std::find_if(std::begin(kChoices), std::end(kChoices),
                    [&](const WeightFormatChoice& c) { return arguments.weights == c.name; });

  TrainingSetup& setup = trained->setup;
  const OutputSample sample(setup);
  const at::Tensor before = sample.logits(*setup.model);
  sayProgress(context, 1, kOutputStages, "writing " + pathText(folder->filename()));
  if (auto merged = setup.method->merge(*setup.model); !merged) return context.fail(merged.error());
  const auto shardBytes = static_cast<uint64_t>(arguments.shardGigabytes * 1e9);
  Result<std::vector<std::string>> remarks =
      saveModelFolder(*folder, *setup.model, setup.modelFolder, choice.type, setup.data.labels, shardBytes);
  if (!remarks) return context.fail(remarks.error());
  // What counts is the folder: it is read again and asked.
  sayProgress(context, 2, kOutputStages, "reading it again");
  Result<std::unique_ptr<Model>> saved = loadModel(*folder, loadOptionsOf(*trained));
  if (!saved) return context.fail(saved.error());
  sayProgress(context, 3, kOutputStages, "comparing outputs");
  Result<OutputCheck> check = sample.compare(before, **saved, choice.tolerance, *folder);
  if (!check) return context.fail(check.error());
  if (auto card = writeCard(*folder, modelCard(CardKind::Model, *trained, baseNameOf(*trained), *check)); !card)
    return context.fail(card.error());
  return reportOutput(context, *trained, *folder, "merged model", *check, *remarks);
}

}  // namespace

void addMergeCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub =
      root.add_subcommand("merge", "Fold a run's update into its base model: a complete Hugging Face folder");
  auto arguments = std::make_shared<MergeArguments>();
  arguments->output.declare(sub, "Folder to write");
  sub->add_option("--weights", arguments->weights, "Number format of the saved weights")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
      ->capture_default_str();
  sub->add_option("--shard-size", arguments->shardGigabytes,
                  "Largest file of weights, in GB; more goes into shards with an index")
      ->check(CLI::Range(0.000001, 1e6))
      ->capture_default_str();
  context.run(sub, [&context, arguments] { return mergeRun(context, *arguments); });
}

}  // namespace rankscope

// rankscope-train merge and export: a run's result for other programs.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "app/trainer/commands.h"
#include "app/trainer/subject.h"
#include "core/config/files.h"
#include "core/train/run_output.h"

namespace rankscope {
namespace {

struct OutputArguments {
  SubjectArguments subject;
  std::string out, kind = "peft", weights = "fp32";
  bool overwrite = false;
};

Result<std::filesystem::path> outputFolder(const OutputArguments& arguments) {
  std::error_code code;
  const std::filesystem::path folder = std::filesystem::absolute(arguments.out, code);
  if (!arguments.overwrite && std::filesystem::exists(folder, code) && !std::filesystem::is_empty(folder, code))
    return Error{ErrorCode::Usage, "the folder is not empty", pathText(folder), "files", "a new or empty folder",
                 "Choose another --out, or add --overwrite."};
  return folder.has_filename() ? folder : folder.parent_path();
}

int64_t folderBytes(const std::filesystem::path& folder) {
  int64_t bytes = 0;
  std::error_code code;
  for (std::filesystem::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    std::error_code ignored;
    const auto size = it->file_size(ignored);
    if (!ignored) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

int report(CommandContext& context, const TrainedModel& trained, const std::filesystem::path& folder, const char* kind) {
  const int64_t bytes = folderBytes(folder);
  context.print({{"run", trained.run->id()}, {"step", trained.step}, {"kind", kind}, {"folder", pathText(folder)},
                 {"bytes", bytes}},
                fmt::format("{} of step {}: {} ({})", kind, trained.step, pathText(folder),
                            formatBytes(static_cast<double>(bytes))));
  return 0;
}

int mergeRun(CommandContext& context, OutputArguments& arguments) {
  Result<RunFolder> run = subjectRun(context, arguments.subject);
  if (!run) return context.fail(run.error());
  Result<std::filesystem::path> folder = outputFolder(arguments);
  if (!folder) return context.fail(folder.error());
  // In single precision whatever the run computed in: the sum W + sBA is rounded once, at the end.
  arguments.subject.computeDtype = "fp32";
  Result<TrainedModel> trained = loadSubject(context, arguments.subject, false);
  if (!trained) return context.fail(trained.error());
  if (auto merged = trained->setup.method->merge(*trained->setup.model); !merged) return context.fail(merged.error());
  const at::ScalarType dtype = arguments.weights == "bf16" ? at::kBFloat16 : at::kFloat;
  if (auto saved = saveModelFolder(*folder, *trained->setup.model, trained->setup.modelFolder, dtype,
                                   trained->setup.data.labels);
      !saved)
    return context.fail(saved.error());
  return report(context, *trained, *folder, "merged model");
}

int exportRun(CommandContext& context, OutputArguments& arguments) {
  Result<RunFolder> run = subjectRun(context, arguments.subject);
  if (!run) return context.fail(run.error());
  Result<std::filesystem::path> folder = outputFolder(arguments);
  if (!folder) return context.fail(folder.error());
  Result<TrainedModel> trained = loadSubject(context, arguments.subject, false);
  if (!trained) return context.fail(trained.error());
  const std::string base = pathText(trained->setup.modelFolder);
  if (trained->setup.method->adapterConfig(*trained->setup.model, base).empty())
    return context.fail({ErrorCode::Usage, "the run has no adapter to export", run->id(),
                         trained->setup.config.str("method.name"), "a low-rank method",
                         "Use `rankscope-train merge RUN --out DIR` for the whole model."});
  if (auto saved = saveAdapter(*folder, *trained->setup.method, *trained->setup.model, base); !saved)
    return context.fail(saved.error());
  return report(context, *trained, *folder, "PEFT adapter");
}

void declareOutput(CLI::App* sub, OutputArguments& arguments) {
  arguments.subject.declare(sub, true);
  sub->add_option("--out", arguments.out, "Folder to write")->required()->type_name("DIR");
  sub->add_flag("--overwrite", arguments.overwrite, "Replace what is in the folder");
}

}  // namespace

void addMergeCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("merge", "Fold a run's update into its base model: a complete Hugging Face folder");
  auto arguments = std::make_shared<OutputArguments>();
  declareOutput(sub, *arguments);
  sub->add_option("--weights", arguments->weights, "Number format of the saved weights")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  context.run(sub, [&context, arguments] { return mergeRun(context, *arguments); });
}

void addExportCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("export", "Write a run's adapter for other programs");
  auto arguments = std::make_shared<OutputArguments>();
  declareOutput(sub, *arguments);
  sub->add_option("--as", arguments->kind, "Format: peft")->check(CLI::IsMember({"peft"}))->capture_default_str();
  context.run(sub, [&context, arguments] { return exportRun(context, *arguments); });
}

}  // namespace rankscope

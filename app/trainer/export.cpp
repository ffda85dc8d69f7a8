// rankscope-train export: a run's adapter for other programs.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "app/trainer/commands.h"
#include "app/trainer/job_progress.h"
#include "app/trainer/model_card.h"
#include "app/trainer/output_folder.h"
#include "core/config/files.h"
#include "core/methods/gguf_adapter.h"
#include "core/methods/peft_format.h"
#include "core/train/run_output.h"

namespace rankscope {
namespace {

struct ExportArguments {
  OutputArguments output;
  std::string format = "peft", base;
};

// The base model afresh, without the adapter.
Result<std::unique_ptr<Model>> plainModel(const TrainedModel& trained) {
  ModelLoadOptions options = loadOptionsOf(trained);
  options.randomInit = trained.setup.config.flag("model.random_init");
  return loadModel(trained.setup.modelFolder, options);
}

int exportPeft(CommandContext& context, const TrainedModel& trained, const ExportArguments& arguments,
               const std::filesystem::path& folder) {
  const TrainingSetup& setup = trained.setup;
  const std::string base = arguments.base.empty() ? pathText(setup.modelFolder) : arguments.base;
  const OutputSample sample(setup);
  const at::Tensor before = sample.logits(*setup.model);
  sayProgress(context, 1, kOutputStages, "writing " + pathText(folder.filename()));
  if (auto saved = saveAdapter(folder, *setup.method, *setup.model, base); !saved) return context.fail(saved.error());
  sayProgress(context, 2, kOutputStages, "reading it again");
  Result<std::unique_ptr<Model>> plain = plainModel(trained);
  if (!plain) return context.fail(plain.error());
  Result<std::unique_ptr<Method>> adapter = loadAdapterFolder(folder, **plain);
  if (!adapter) return context.fail(adapter.error());
  sayProgress(context, 3, kOutputStages, "comparing outputs");
  Result<OutputCheck> check = sample.compare(before, **plain, kExactTolerance, folder);
  if (!check) return context.fail(check.error());
  const std::string shownBase = arguments.base.empty() ? baseNameOf(trained) : arguments.base;
  if (auto card = writeCard(folder, modelCard(CardKind::Adapter, trained, shownBase, *check)); !card)
    return context.fail(card.error());
  return reportOutput(context, trained, folder, "PEFT adapter", *check);
}

int exportGguf(CommandContext& context, const TrainedModel& trained, const std::filesystem::path& file) {
  const TrainingSetup& setup = trained.setup;
  std::error_code code;
  std::filesystem::create_directories(file.parent_path(), code);
  if (code) return context.fail(systemError(code.value(), "the folder cannot be made", file.parent_path()));
  const std::string name = setup.config.str("name").empty() ? trained.run->id() : setup.config.str("name");
  const OutputSample sample(setup);
  const at::Tensor before = sample.logits(*setup.model);
  sayProgress(context, 1, kOutputStages, "writing " + pathText(file.filename()));
  Result<GgufAdapterReport> written = writeGgufAdapter(file, *setup.method, *setup.model, name);
  if (!written) return context.fail(written.error());
  sayProgress(context, 2, kOutputStages, "reading it again");
  Result<std::unique_ptr<Model>> plain = plainModel(trained);
  if (!plain) return context.fail(plain.error());
  if (Result<GgufAdapterReport> again = applyGgufAdapter(file, **plain); !again) return context.fail(again.error());
  sayProgress(context, 3, kOutputStages, "comparing outputs");
  Result<OutputCheck> check = sample.compare(before, **plain, kExactTolerance, file);
  if (!check) return context.fail(check.error());
  return reportOutput(context, trained, file, "GGUF adapter", *check,
                      {"Load it beside the base model: llama-cli -m BASE.gguf --lora " + pathText(file.filename())});
}

int exportRun(CommandContext& context, ExportArguments& arguments) {
  Result<RunFolder> run = subjectRun(context, arguments.output.subject);
  if (!run) return context.fail(run.error());
  if (arguments.format == "gguf" && std::filesystem::path(arguments.output.out).extension() != ".gguf")
    arguments.output.out += ".gguf";
  Result<std::filesystem::path> folder = outputFolder(arguments.output);
  if (!folder) return context.fail(folder.error());
  Result<TrainedModel> trained = loadForOutput(context, arguments.output);
  if (!trained) return context.fail(trained.error());
  const TrainingSetup& setup = trained->setup;
  if (setup.method->adapterConfig(*setup.model, pathText(setup.modelFolder)).empty())
    return context.fail({ErrorCode::Usage, "the run has no adapter to export", run->id(),
                         setup.config.str("method.name"), "a low-rank method",
                         "Use `rankscope-train merge RUN --out DIR` for the whole model."});
  if (arguments.format == "gguf" && setup.method->factorPairs().empty())
    return context.fail({ErrorCode::Usage, "llama.cpp reads adapters of low rank only", "--as", setup.config.str("method.name"),
                         "a low-rank method", "Use --as peft, or merge a run whose method changes weights."});
  return arguments.format == "gguf" ? exportGguf(context, *trained, *folder)
                                    : exportPeft(context, *trained, arguments, *folder);
}

}  // namespace

void addExportCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("export", "Write a run's adapter for other programs");
  auto arguments = std::make_shared<ExportArguments>();
  arguments->output.declare(sub, "Folder to write (gguf: the file)");
  sub->add_option("--as,--format", arguments->format,
                  "peft (a folder for PEFT and transformers) or gguf (a file for llama.cpp's --lora)")
      ->check(CLI::IsMember({"peft", "gguf"}))
      ->capture_default_str();
  sub->add_option("--base", arguments->base, "How others name the base model (default: its folder)")->type_name("NAME");
  context.run(sub, [&context, arguments] { return exportRun(context, *arguments); });
}

}  // namespace rankscope

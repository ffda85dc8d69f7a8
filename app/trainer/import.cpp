// rankscope-train import: an adapter made elsewhere becomes a run.

#include <fmt/format.h>

#include "app/trainer/commands.h"
#include "app/trainer/job_progress.h"
#include "app/trainer/output_folder.h"
#include "app/trainer/subject.h"
#include "core/config/files.h"
#include "core/train/import_run.h"

namespace rankscope {
namespace {

struct Arguments {
  std::string adapter, labels;
  double alpha = 0;
  CLI::Option* alphaGiven = nullptr;
  ImportRequest request;
};

int importRun(CommandContext& context, Arguments& arguments) {
  ImportRequest& request = arguments.request;
  Result<std::filesystem::path> adapter = context.places.resolve(arguments.adapter);
  if (!adapter) return context.fail(adapter.error());
  request.adapter = *adapter;
  if (arguments.alphaGiven->count() > 0) request.alpha = arguments.alpha;
  for (size_t at = 0; !arguments.labels.empty() && at != std::string::npos;) {
    const size_t comma = arguments.labels.find(',', at);
    request.labels.push_back(arguments.labels.substr(at, comma == std::string::npos ? comma : comma - at));
    at = comma == std::string::npos ? comma : comma + 1;
  }
  request.progress = [&context](int64_t done, int64_t total, const std::string& what) {
    sayProgress(context, done, total, what);
  };
  Result<ImportedRun> imported = importAdapter(request, context.places);
  if (!imported) return context.fail(imported.error());
  for (const std::string& remark : imported->remarks) context.note(remark);
  context.print(
      {{"run", imported->run.id()},
       {"folder", pathText(imported->run.path())},
       {"sites", imported->sites},
       {"trainable", imported->trainable},
       {"name", imported->name},
       {"remarks", imported->remarks},
       {"check", checkDocument(imported->check)}},
      fmt::format(
          "{}: {} sites, {} trained parameters\n{}\nContinue it with `rankscope-train branch {} --set data.train=FILE …`.",
          imported->run.id(), imported->sites, formatCount(imported->trainable), checkText(imported->check),
          imported->run.id().substr(0, 8)));
  return 0;
}

}  // namespace

void addImportCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand(
      "import", "Make a run of an adapter from elsewhere: PEFT's folder, or a file of LoRA's factors");
  auto arguments = std::make_shared<Arguments>();
  sub->add_option("ADAPTER", arguments->adapter,
                  "Folder with adapter_config.json, or a .safetensors or .bin of factors")
      ->required();
  sub->add_option("--model", arguments->request.model, "Base model (default: as the adapter's config names it)")
      ->type_name("DIR");
  arguments->alphaGiven =
      sub->add_option("--alpha", arguments->alpha, "Alpha, for a file without a config")->type_name("NUMBER");
  sub->add_option("--name", arguments->request.name, "Name of the run")->type_name("TEXT");
  sub->add_option("--task", arguments->request.task, "Task, where the adapter does not tell it")
      ->check(CLI::IsMember(taskNames()));
  sub->add_option("--labels", arguments->labels, "Classes by index, with commas")->type_name("A,B,…");
  sub->add_option("--set", arguments->request.assignments, "Set an option: key=value")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  context.run(sub, [&context, arguments] { return importRun(context, *arguments); });
}

}  // namespace rankscope

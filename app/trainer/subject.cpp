#include "app/trainer/subject.h"

#include <filesystem>

namespace rankscope {

void SubjectArguments::declare(CLI::App* sub, bool runOnly) {
  sub->add_option(runOnly ? "RUN" : "RUN|MODEL", subject,
                  runOnly ? "Run: uuid, beginning of it, or name"
                          : "Run (uuid, beginning of it, or name), or a model folder (also starter:… or models:…)")
      ->required();
  sub->add_option("--checkpoint", checkpoint, "last, best, or a step")->capture_default_str();
  sub->add_option("--dtype", computeDtype, "Arithmetic: fp32 or bf16 (default: as the run was trained)");
  sub->add_option("--threads", threads, "Threads of the processor (default: all)");
}

std::vector<std::string> taskNames() {
  std::vector<std::string> names;
  for (const OptionChoice& choice : findOption("data.task")->choices) names.push_back(choice.value);
  return names;
}

Result<RunFolder> subjectRun(const CommandContext& context, const SubjectArguments& arguments) {
  Result<RunFolder> run = resolveRun(context.places.runs, arguments.subject);
  std::error_code ignored;
  // A path may lead to a model folder, whose config.json is not a run's.
  if (run && !std::filesystem::exists(run->infoFile(), ignored))
    return Error{ErrorCode::Usage, "this is not a run", arguments.subject, "a folder without run.json", "a run's folder",
                 "Name a run by its id, the beginning of it, or its name."};
  return run;
}

Result<TrainedModel> loadSubject(const CommandContext& context, const SubjectArguments& arguments, bool data) {
  TrainedModelOptions options;
  options.checkpoint = arguments.checkpoint;
  options.computeDtype = arguments.computeDtype;
  options.threads = arguments.threads;
  options.data = data;
  const Result<RunFolder> run = subjectRun(context, arguments);
  if (run) return loadRunModel(*run, context.places, options);

  Result<std::filesystem::path> folder = context.places.resolve(arguments.subject);
  std::error_code ignored;
  // A config.json, or a GGUF file that carries its own.
  if (!folder || (!std::filesystem::exists(*folder / "config.json", ignored) && !readModelConfig(*folder))) return run.error();
  RunConfig config;
  if (auto set = config.set("model.path", folder->string()); !set) return set.error();
  for (const ValidationIssue& issue : config.assign(arguments.assignments)) return issue.error;
  return loadPlainModel(config, context.places, options);
}

}  // namespace rankscope

#include "app/trainer/output_folder.h"

#include <fmt/format.h>

#include <map>

#include "app/trainer/job_progress.h"
#include "core/config/files.h"

namespace rankscope {
namespace {

// Name and size of the one file, or of each file of the folder, in order of their names.
nlohmann::json filesOf(const std::filesystem::path& path) {
  std::map<std::string, uint64_t> sizes;
  std::error_code code;
  if (std::filesystem::is_regular_file(path, code)) sizes[pathText(path.filename())] = std::filesystem::file_size(path, code);
  for (std::filesystem::directory_iterator it(path, code), end; !code && it != end; it.increment(code)) {
    std::error_code ignored;
    const auto size = it->file_size(ignored);
    if (!ignored) sizes[pathText(it->path().filename())] = size;
  }
  nlohmann::json files = nlohmann::json::array();
  for (const auto& [name, bytes] : sizes) files.push_back({{"name", name}, {"bytes", bytes}});
  return files;
}

}  // namespace

void OutputArguments::declare(CLI::App* sub, const char* what) {
  subject.declare(sub, true);
  sub->add_option("--out", out, what)->required()->type_name("DIR");
  sub->add_flag("--overwrite", overwrite, "Replace what is there");
}

Result<std::filesystem::path> outputFolder(const OutputArguments& arguments) {
  std::error_code code;
  const std::filesystem::path folder = std::filesystem::absolute(arguments.out, code);
  const bool used = std::filesystem::is_directory(folder, code) ? !std::filesystem::is_empty(folder, code)
                                                                : std::filesystem::exists(folder, code);
  if (!arguments.overwrite && used)
    return Error{ErrorCode::Usage, "there is something already", pathText(folder),
                 "files",          "a new or empty folder",      "Choose another --out, or add --overwrite."};
  return folder.has_filename() ? folder : folder.parent_path();
}

Result<TrainedModel> loadForOutput(const CommandContext& context, OutputArguments& arguments) {
  sayProgress(context, 0, kOutputStages, "loading the run");
  // In single precision whatever the run computed in: sums are rounded once, when they are saved.
  arguments.subject.computeDtype = "fp32";
  if (Result<TrainedModel> withData = loadSubject(context, arguments.subject, true)) return withData;
  return loadSubject(context, arguments.subject, false);
}

std::string baseNameOf(const TrainedModel& trained) {
  const nlohmann::json& config = trained.setup.model->config();
  const auto named = config.find("_name_or_path");
  if (named != config.end() && named->is_string() && !named->get<std::string>().empty())
    return named->get<std::string>();
  return pathText(trained.setup.modelFolder.filename());
}

Result<void> writeCard(const std::filesystem::path& folder, const std::string& card) {
  return writeFileAtomically(folder / "README.md", card);
}

nlohmann::json checkDocument(const OutputCheck& check) {
  return {{"rows", check.rows},
          {"tokens", check.tokens},
          {"unit", check.unit},
          {"from_data", check.fromData},
          {"largest_difference", check.largest},
          {"largest_logit", check.scale},
          {"tolerance", check.tolerance}};
}

std::string checkText(const OutputCheck& check) {
  return fmt::format("checked on {} {}: logits differ by at most {:.2g} (largest {:.3g})", check.rows,
                     check.fromData           ? "rows of the data"
                     : check.unit == "images" ? "made-up images"
                                              : "made-up sequences", check.largest, check.scale);
}

int reportOutput(CommandContext& context, const TrainedModel& trained, const std::filesystem::path& output,
                 const std::string& kind, const OutputCheck& check, const std::vector<std::string>& remarks) {
  const nlohmann::json files = filesOf(output);
  int64_t bytes = 0;
  for (const nlohmann::json& file : files) bytes += file["bytes"].get<int64_t>();
  std::error_code code;
  const bool isFile = std::filesystem::is_regular_file(output, code);
  nlohmann::json document = {{"run", trained.run->id()},
                             {"step", trained.step},
                             {"kind", kind},
                             {"folder", pathText(isFile ? output.parent_path() : output)},
                             {"files", files},
                             {"bytes", bytes},
                             {"remarks", remarks},
                             {"check", checkDocument(check)}};
  if (isFile) document["file"] = pathText(output);
  std::string text = fmt::format("{} of step {}: {} ({})\n{}", kind, trained.step, pathText(output),
                                 formatBytes(static_cast<double>(bytes)), checkText(check));
  for (const std::string& remark : remarks) text += "\n" + remark;
  context.print(document, text);
  return 0;
}

}  // namespace rankscope

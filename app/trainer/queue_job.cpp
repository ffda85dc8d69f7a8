#include "app/trainer/queue_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "core/config/json_text.h"
#include "core/config/files.h"

namespace rankscope {
namespace {

const char* kCommandKinds[] = {"resume", "branch", "eval",     "spectrum", "mitigate", "merge",
                               "export", "import", "generate", "check",    "bench"};
constexpr size_t kProgressBytes = 4 << 20;

}  // namespace

bool aboutRun(const Job& job) {
  return job.spec.kind == "train" || job.spec.kind == "resume" || (job.spec.kind == "branch" && !job.spec.runId.empty());
}

Result<std::vector<std::string>> jobArguments(const Job& job, const Places& places, const std::filesystem::path& configFile) {
  // A run that has begun goes on; its folder holds the same frozen config.
  std::error_code failure;
  if (job.spec.kind != "resume" && aboutRun(job) &&
      std::filesystem::exists(places.runs / job.spec.runId / "config.json", failure))
    return std::vector<std::string>{"resume", job.spec.runId};
  if (job.spec.kind == "train")
    return std::vector<std::string>{"train", "--config", configFile.string(), "--id", job.spec.runId};
  std::vector<std::string> line = {job.spec.kind};
  const auto arguments = job.spec.config.is_object() ? job.spec.config.find("arguments") : job.spec.config.end();
  const bool known = std::any_of(std::begin(kCommandKinds), std::end(kCommandKinds),
                                 [&job](const char* kind) { return job.spec.kind == kind; });
  const bool whole =
      job.spec.config.is_object() && arguments != job.spec.config.end() && arguments->is_array() &&
      std::all_of(arguments->begin(), arguments->end(), [](const nlohmann::json& each) { return each.is_string(); });
  if (!known || !whole)
    return Error{ErrorCode::Usage,
                 "the job cannot be run",
                 fmt::format("job {}", job.id),
                 cleanUtf8(job.spec.kind, 40),
                 fmt::format("train, {} with its arguments", fmt::join(kCommandKinds, ", ")),
                 "Remove it and queue it again."};
  for (const nlohmann::json& each : *arguments) line.push_back(each.get<std::string>());
  return line;
}

Error errorOfJob(int code, int signal, const std::string& output, const std::string& errors) {
  Result<nlohmann::json> document = parseJson(output, "output");
  if (document && document->is_object() && document->contains("error") && (*document)["error"].is_object()) {
    const nlohmann::json& body = (*document)["error"];
    const auto text = [&body](const char* key) {
      return body.contains(key) && body[key].is_string() ? body[key].get<std::string>() : "";
    };
    ErrorCode named = ErrorCode::Internal;
    for (const ErrorCode each : {ErrorCode::Usage, ErrorCode::BadInput, ErrorCode::Training, ErrorCode::Interrupted,
                                 ErrorCode::Store, ErrorCode::Io})
      if (text("code") == errorCodeName(each)) named = each;
    return {named, text("what"), text("where"), text("found"), text("expected"), text("hint")};
  }
  std::string last = errors.substr(errors.size() > 1000 ? errors.size() - 1000 : 0);
  if (signal == SIGKILL)
    return {ErrorCode::Training,
            "the job's process was killed",
            "",
            cleanUtf8(last, 1000),
            "",
            "If it was out of memory, lower train.batch_size or data.max_length; then retry the job."};
  if (code == exitCode(ErrorCode::Interrupted))
    return {ErrorCode::Interrupted,        "the run was interrupted after a checkpoint", "", cleanUtf8(last, 1000), "",
            "Resume it, or retry the job."};
  return {ErrorCode::Internal,
          signal ? fmt::format("the job's process ended by signal {}", signal)
                         : fmt::format("the job's process ended with exit code {}", code),
          "",
          cleanUtf8(last, 1000),
          "",
          "Look at the log of the run, then retry the job."};
}

std::optional<JobProgress> progressOfJob(const std::filesystem::path& errorsFile) {
  const Result<std::string> text = readFileBounded(errorsFile, kProgressBytes);
  if (!text) return std::nullopt;
  // Only whole lines: the last one may still be written.
  size_t end = text->rfind('\n');
  while (end != std::string::npos && end > 0) {
    const size_t before = text->rfind('\n', end - 1);
    const size_t begin = before == std::string::npos ? 0 : before + 1;
    const std::string line = text->substr(begin, end - begin);
    if (line.rfind("{\"progress\"", 0) == 0)
      if (const Result<nlohmann::json> document = parseJson(line, "progress"); document && document->is_object()) {
        const nlohmann::json body = document->value("progress", nlohmann::json::object());
        if (body.is_object() && body.contains("done") && body["done"].is_number() && body.contains("total") &&
            body["total"].is_number() && body["total"].get<double>() > 0) {
          const double done = body["done"].get<double>(), total = body["total"].get<double>();
          const auto what = body.find("what");
          return JobProgress{std::clamp(done / total, 0.0, 1.0),
                             fmt::format("{:.0f} of {:.0f}{}", done, total,
                                         what != body.end() && what->is_string()
                                             ? ": " + cleanUtf8(what->get<std::string>(), 200) : std::string())};
        }
      }
    end = before;
  }
  return std::nullopt;
}

}  // namespace rankscope

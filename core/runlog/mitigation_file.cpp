#include "core/runlog/mitigation_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/config/files.h"
#include "core/config/json_text.h"

namespace rankscope {
namespace {

using Json = nlohmann::json;

Json orNull(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

std::optional<double> optionalNumber(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

}  // namespace

std::filesystem::path mitigationFile(const std::filesystem::path& runFolder, int64_t step) {
  return runFolder / "mitigation" / fmt::format("step-{:08}.json", step);
}

Result<void> writeMitigation(const std::filesystem::path& runFolder, const MitigationCurve& curve) {
  const std::filesystem::path file = mitigationFile(runFolder, curve.step);
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);  // the write below reports what went wrong
  Json points = Json::array();
  for (const MitigationPoint& point : curve.points)
    points.push_back({{"lambda", point.lambda}, {"metrics", point.metrics}, {"text_loss", orNull(point.textLoss)}, {"lost", point.lost}});
  const Json document{{"version", 1}, {"step", curve.step}, {"top", curve.top}, {"eps", curve.eps}, {"intruders", curve.intruders},
                      {"text", curve.text}, {"base_text_loss", orNull(curve.baseTextLoss)}, {"created", curve.created},
                      {"points", points}};
  return writeFileAtomically(file, document.dump(1));
}

Result<MitigationCurve> readMitigation(const std::filesystem::path& file) {
  const auto text = readFileBounded(file, 16u << 20);
  if (!text) return text.error();
  const auto document = parseJson(*text, file.string());
  if (!document) return document.error();
  const auto damaged = [&](const std::string& found) {
    return Error{ErrorCode::BadInput, "the stored mitigation is damaged", file.filename().string(), found,
                 "the fields of version 1", "Compute it again with `rankscope-train mitigate`."};
  };
  try {
    const Json& root = *document;
    if (root.at("version").get<int>() != 1) return damaged("version " + root.at("version").dump());
    MitigationCurve curve;
    curve.step = root.at("step");
    curve.top = root.at("top");
    curve.eps = root.at("eps");
    curve.intruders = root.at("intruders");
    curve.text = root.at("text");
    curve.baseTextLoss = optionalNumber(root, "base_text_loss");
    curve.created = root.at("created");
    for (const Json& item : root.at("points")) {
      MitigationPoint point;
      point.lambda = item.at("lambda");
      for (const auto& [name, value] : item.at("metrics").items())
        if (value.is_number()) point.metrics[name] = value;
      point.textLoss = optionalNumber(item, "text_loss");
      point.lost = item.at("lost");
      curve.points.push_back(std::move(point));
    }
    return curve;
  } catch (const Json::exception& problem) {
    return damaged(problem.what());
  }
}

}  // namespace rankscope

// Documents of older versions. A step per version: kSteps[n] turns version n into n + 1, in place; steps are never
// edited once a version is released, and tests/core/config holds a document of every version.
#include <fmt/format.h>

#include <array>

#include "core/config/json_text.h"
#include "core/config/run_config.h"

namespace rankscope {

using nlohmann::json;

namespace {

using Step = void (*)(json& document);

// Version 0 is a document without "version" as people write it by hand; it has the form of version 1.
constexpr std::array<Step, RunConfig::kVersion> kSteps = {[](json&) {}};

}  // namespace

Result<json> migrateConfig(json document) {
  if (!document.is_object())
    return Error{ErrorCode::Usage, "a config is a JSON object",
                 "config",         describeJson(document),
                 "an object",      "Write {\"model\": {…}, \"data\": {…}, …}."};
  int64_t version = 0;
  if (const auto it = document.find("version"); it != document.end()) {
    if (!it->is_number_integer() || it->get<int64_t>() < 0 ||
        (it->is_number_unsigned() && it->get<uint64_t>() > 1000000))
      return Error{ErrorCode::Usage,  "the config's version makes no sense",      "version",
                   describeJson(*it), fmt::format("1 … {}", RunConfig::kVersion), "Leave the key out, or correct it."};
    version = it->get<int64_t>();
    document.erase(it);
  }
  if (version > RunConfig::kVersion)
    return Error{ErrorCode::Usage,
                 "the config is of a newer version of the program",
                 "version",
                 std::to_string(version),
                 fmt::format("at most {}", RunConfig::kVersion),
                 "Use the version of Rankscope that wrote it, or a newer one."};
  for (auto v = static_cast<size_t>(version); v < kSteps.size(); ++v) kSteps[v](document);
  return document;
}

}  // namespace rankscope

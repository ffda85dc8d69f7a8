#pragma once
// JSON of foreign origin, read with limits: bytes before parsing, depth and values while parsing. Repeated keys are an
// error, because two readers of the same file must not see two different documents. For model folders and data; our own
// documents go through core/config/json_text.h. Free functions, any thread.

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/config/result.h"

namespace rankscope {

struct JsonLimits {
  size_t maxBytes = 64u << 20;
  int maxDepth = 64;
  size_t maxValues = 4'000'000;  // values of every kind, containers included
  bool allowRepeatedKeys = false;
};

// `where` names the source in errors ("config.json").
Result<nlohmann::json> parseBoundedJson(std::string_view bytes, const std::string& where, const JsonLimits& limits = {});
Result<nlohmann::json> readJsonFile(const std::filesystem::path& path, const JsonLimits& limits = {});

}  // namespace rankscope

#pragma once
// JSON from outside, read with limits: bytes before parsing, depth and number of values while parsing. Repeated keys
// are an error, because two readers of one file must not see two different documents. Free functions, any thread.

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/config/limits.h"
#include "core/config/result.h"

namespace rankscope {

struct JsonLimits {
  size_t maxBytes = 64u << 20;
  int maxDepth = limits::kJsonDepth;
  size_t maxValues = 4'000'000;  // values of every kind, containers included
  bool allowRepeatedKeys = false;
};

// `where` names the document in errors ("config.json"); a place within it is added as line and column. A leading
// byte-order mark is skipped. Refused: anything over the limits, invalid UTF-8, zero bytes, text after the document.
Result<nlohmann::json> parseJson(std::string_view text, const std::string& where, const JsonLimits& limits = {});
Result<nlohmann::json> readJsonFile(const std::filesystem::path& path, const JsonLimits& limits = {});
// For our own records, read by the thousand: only the depth is limited, a repeated key keeps its last value.
Result<nlohmann::json> parseJsonRecord(std::string_view text, const std::string& where);

// Sorted keys, `indent` spaces (-1: one line). Invalid UTF-8 is replaced, never thrown on.
std::string jsonText(const nlohmann::json& document, int indent = -1);
// "a whole number", "a text", … of a JSON value, with the value when it is short: for "found" of errors.
std::string describeJson(const nlohmann::json& value);

}  // namespace rankscope

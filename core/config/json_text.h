#pragma once
// JSON from outside: bounded in depth, no doubled keys, and errors that name line and column.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/config/result.h"

namespace rankscope {

// `where` names the document in errors ("config.json"). Rejects nesting deeper than limits::kJsonDepth, doubled keys
// in an object, invalid UTF-8, and anything after the document.
Result<nlohmann::json> parseJson(std::string_view text, const std::string& where);
// The same without the check for doubled keys: for our own records, read by the thousand.
Result<nlohmann::json> parseJsonRecord(std::string_view text, const std::string& where);
// Sorted keys, `indent` spaces (-1: one line). Invalid UTF-8 is replaced, never thrown on.
std::string jsonText(const nlohmann::json& document, int indent = -1);
// "a whole number", "a text", … of a JSON value, with the value when it is short: for "found" of errors.
std::string describeJson(const nlohmann::json& value);

}  // namespace rankscope

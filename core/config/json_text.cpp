#include "core/config/json_text.h"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "core/config/files.h"
#include "core/config/limits.h"

namespace rankscope {

namespace {

using nlohmann::json;

Error malformed(std::string what, const std::string& where, std::string hint) {
  return {ErrorCode::BadInput, std::move(what), where, "", "", std::move(hint)};
}

// Nesting is counted before parsing, since nlohmann's writer and comparison recurse. Returns the offset at which the
// document gets too deep.
size_t tooDeepAt(std::string_view text) {
  int depth = 0;
  bool inText = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (inText) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inText = false;
    } else if (c == '"') {
      inText = true;
    } else if (c == '{' || c == '[') {
      if (++depth > limits::kJsonDepth) return i;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return std::string_view::npos;
}

std::string position(std::string_view text, size_t offset) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < std::min(offset, text.size()); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return fmt::format("line {}, column {}", line, column);
}

struct DoubledKey {
  std::string key;
};

}  // namespace

Result<json> parseJsonRecord(std::string_view text, const std::string& where) {
  if (const size_t at = tooDeepAt(text); at != std::string_view::npos)
    return malformed(fmt::format("JSON is nested deeper than {} levels", limits::kJsonDepth),
                     where + ", " + position(text, at), "The file is damaged or not one of this program's.");
  json document = json::parse(text, nullptr, false);
  if (!document.is_discarded()) return document;
  try {  // the second pass, for the place and the reason
    document = json::parse(text);
  } catch (const json::parse_error& e) {
    std::string reason = e.what();
    if (const size_t colon = reason.find(": ", reason.find("parse error")); colon != std::string::npos)
      reason = reason.substr(colon + 2);
    return malformed("not valid JSON", where + ", " + position(text, e.byte > 0 ? e.byte - 1 : 0),
                     "Correct the document at this place: " + cleanUtf8(reason, 300));
  } catch (const json::exception&) {
    return malformed("a number is too large", where, "Numbers must be finite: at most about 1.8e308.");
  }
  return document;
}

Result<json> parseJson(std::string_view text, const std::string& where) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);  // a byte-order mark, as some editors leave
  Result<json> plain = parseJsonRecord(text, where);
  if (!plain) return plain;
  std::vector<std::set<std::string>> keys;
  const json::parser_callback_t watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == json::parse_event_t::key) {
      if (!keys.back().insert(parsed.get<std::string>()).second) throw DoubledKey{parsed.get<std::string>()};
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const DoubledKey& doubled) {
    return malformed(fmt::format("the key \"{}\" is given twice", cleanUtf8(doubled.key, 200)), where,
                     "Keep one of the two.");
  }
}

std::string jsonText(const json& document, int indent) {
  return document.dump(indent, ' ', false, json::error_handler_t::replace);
}

std::string describeJson(const json& value) {
  switch (value.type()) {
    case json::value_t::null: return "null";
    case json::value_t::boolean: return value.get<bool>() ? "true" : "false";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
    case json::value_t::number_float: return value.dump();
    case json::value_t::string: return "\"" + cleanUtf8(value.get_ref<const std::string&>(), 80) + "\"";
    case json::value_t::array: return fmt::format("a list of {}", value.size());
    case json::value_t::object: return "an object";
    case json::value_t::binary:
    case json::value_t::discarded: break;
  }
  return "something else";
}

}  // namespace rankscope

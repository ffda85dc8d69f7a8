#include "core/config/option_value.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"

namespace rankscope {

namespace {

using nlohmann::json;

constexpr double kLargestWhole = 9007199254740992.0;  // 2^53: whole numbers that a double carries exactly

Error wrongType(const OptionSpec& option, std::string found, std::string hint = {}) {
  if (hint.empty()) {
    switch (option.type) {
      case OptionType::Integer: hint = "Give a whole number, such as " + option.defaultValue.dump() + "."; break;
      case OptionType::Real: hint = "Give a number, such as " + option.defaultValue.dump() + "."; break;
      case OptionType::Flag: hint = "Give true or false."; break;
      case OptionType::Choice: hint = "Choose one of: " + allowedText(option) + "."; break;
      case OptionType::List: hint = "Give a list of texts, such as [\"a\", \"b\"]; with --set, a,b."; break;
      case OptionType::Map: hint = "Give names with numbers, such as {\"q_proj\": 4}; with --set, q_proj=4."; break;
      case OptionType::Text:
      case OptionType::LongText:
      case OptionType::Path: hint = "Give a text."; break;
    }
  }
  return {ErrorCode::Usage,    option.title + " has a wrong type of value",
          option.key,          std::move(found),
          allowedText(option), std::move(hint)};
}

Error tooLong(const OptionSpec& option, size_t found, size_t limit, const char* unit) {
  return {ErrorCode::Usage,
          option.title + " is too long",
          option.key,
          fmt::format("{} {}", found, unit),
          fmt::format("at most {} {}", limit, unit),
          "Shorten it."};
}

std::optional<int64_t> wholeNumber(const json& value) {
  if (value.is_number_unsigned()) {
    const uint64_t n = value.get<uint64_t>();
    if (n <= static_cast<uint64_t>(kLargestWhole)) return static_cast<int64_t>(n);
  } else if (value.is_number_integer()) {
    const int64_t n = value.get<int64_t>();
    if (n >= -static_cast<int64_t>(kLargestWhole)) return n;
  } else if (value.is_number_float()) {
    const double d = value.get<double>();
    if (std::isfinite(d) && d == std::trunc(d) && std::abs(d) <= kLargestWhole) return static_cast<int64_t>(d);
  }
  return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<double> numberFromText(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// Whole numbers are read as such, so that those above 2^53 are not rounded into range.
std::optional<json> jsonNumberFromText(std::string_view text) {
  int64_t whole = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (code == std::errc() && end == text.data() + text.size()) return json(whole);
  if (const auto value = numberFromText(text)) return json(*value);
  return std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t next = text.find(at);
    parts.push_back(trimmed(text.substr(0, next)));
    if (next == std::string_view::npos) return parts;
    text.remove_prefix(next + 1);
  }
}

// "4-7" -> "4", "5", "6", "7". Anything else is kept; validate() judges it.
void appendLayer(json& out, const std::string& item) {
  const size_t dash = item.find('-');
  int from = 0, to = 0;
  const char* begin = item.data();
  const char* end = begin + item.size();
  const bool range =
      dash != std::string::npos && dash > 0 && std::from_chars(begin, begin + dash, from).ptr == begin + dash &&
      std::from_chars(begin + dash + 1, end, to).ptr == end && dash + 1 < item.size() && from <= to && to - from < 4096;
  if (!range) {
    out.push_back(item);
    return;
  }
  for (int layer = from; layer <= to; ++layer) out.push_back(std::to_string(layer));
}

Result<json> normalisedList(const OptionSpec& option, const json& value) {
  if (!value.is_array()) return wrongType(option, describeJson(value));
  if (value.size() > limits::kListOption) return tooLong(option, value.size(), limits::kListOption, "items");
  json out = json::array();
  size_t bytes = 0;
  for (const json& item : value) {
    std::string text;
    if (item.is_string())
      text = item.get<std::string>();
    else if (const auto whole = wholeNumber(item))
      text = std::to_string(*whole);  // layers and numeric labels are written as numbers in JSON
    else if (item.is_number_float())
      text = item.dump();
    else
      return wrongType(option, describeJson(item) + " in the list");
    bytes += text.size();
    if (bytes > limits::kTextOption) return tooLong(option, bytes, limits::kTextOption, "bytes");
    if (option.key == "method.layers")
      appendLayer(out, text);
    else
      out.push_back(std::move(text));
  }
  return out;
}

Result<json> normalisedMap(const OptionSpec& option, const json& value) {
  if (!value.is_object()) return wrongType(option, describeJson(value));
  if (value.size() > limits::kListOption) return tooLong(option, value.size(), limits::kListOption, "items");
  json out = json::object();
  for (const auto& [name, item] : value.items()) {
    if (!item.is_number() || !std::isfinite(item.get<double>()))
      return wrongType(option, fmt::format("{} for \"{}\"", describeJson(item), cleanUtf8(name, 80)));
    // The shortest form, so that 4 and 4.0 are the same value.
    if (const auto whole = wholeNumber(item))
      out[name] = *whole;
    else
      out[name] = item.get<double>();
  }
  return out;
}

bool needsJsonForm(const std::string& item) {
  return item.empty() || item.find_first_of(",\"\n\r\t=") != std::string::npos || item.front() == ' ' ||
         item.back() == ' ' || item.front() == '[' || item.front() == '{';
}

}  // namespace

Result<json> normalisedValue(const OptionSpec& option, const json& value) {
  switch (option.type) {
    case OptionType::Text:
    case OptionType::LongText:
    case OptionType::Path:
    case OptionType::Choice: {
      if (!value.is_string()) return wrongType(option, describeJson(value));
      const std::string& text = value.get_ref<const std::string&>();
      if (text.size() > limits::kTextOption) return tooLong(option, text.size(), limits::kTextOption, "bytes");
      const std::string clean = cleanUtf8(text, limits::kTextOption);
      if (clean != text) return wrongType(option, "bytes that are not UTF-8", "Save the text as UTF-8.");
      // Blanks around a path or a choice are nobody's intention, wherever it was written.
      const bool bare = option.type == OptionType::Path || option.type == OptionType::Choice;
      return json(bare ? std::string(trimmed(text)) : text);
    }
    case OptionType::Integer: {
      const auto whole = wholeNumber(value);
      if (!whole) return wrongType(option, describeJson(value));
      return json(*whole);
    }
    case OptionType::Real: {
      if (!value.is_number() || !std::isfinite(value.get<double>())) return wrongType(option, describeJson(value));
      return json(value.get<double>());
    }
    case OptionType::Flag:
      if (!value.is_boolean()) return wrongType(option, describeJson(value));
      return value;
    case OptionType::List: return normalisedList(option, value);
    case OptionType::Map: return normalisedMap(option, value);
  }
  return wrongType(option, describeJson(value));
}

Result<json> valueFromText(const OptionSpec& option, std::string_view text) {
  const std::string_view bare = trimmed(text);
  switch (option.type) {
    case OptionType::Text:
    case OptionType::LongText:
    case OptionType::Path:
    case OptionType::Choice: return normalisedValue(option, std::string(text));
    case OptionType::Integer:
    case OptionType::Real: {
      const auto number = jsonNumberFromText(bare);
      if (!number) return wrongType(option, "\"" + cleanUtf8(text, 80) + "\"");
      return normalisedValue(option, *number);
    }
    case OptionType::Flag:
      for (const char* yes : {"true", "yes", "on", "1"})
        if (bare == yes) return json(true);
      for (const char* no : {"false", "no", "off", "0"})
        if (bare == no) return json(false);
      return wrongType(option, "\"" + cleanUtf8(text, 80) + "\"");
    case OptionType::List: {
      if (bare.empty()) return json::array();
      if (bare.front() == '[') {
        Result<json> parsed = parseJson(bare, option.key);
        return parsed ? normalisedValue(option, *parsed) : parsed;
      }
      json items = json::array();
      for (const std::string_view part : split(bare, ',')) items.push_back(std::string(part));
      return normalisedValue(option, items);
    }
    case OptionType::Map: {
      if (bare.empty()) return json::object();
      if (bare.front() == '{') {
        Result<json> parsed = parseJson(bare, option.key);
        return parsed ? normalisedValue(option, *parsed) : parsed;
      }
      json items = json::object();
      for (const std::string_view part : split(bare, ',')) {
        const size_t equals = part.rfind('=');
        const auto number =
            equals == std::string_view::npos ? std::nullopt : jsonNumberFromText(trimmed(part.substr(equals + 1)));
        if (!number) return wrongType(option, "\"" + cleanUtf8(part, 80) + "\"");
        const std::string name(trimmed(part.substr(0, equals)));
        if (items.contains(name))
          return wrongType(option, fmt::format("\"{}\" twice", cleanUtf8(name, 80)), "Keep one of the two.");
        items[name] = *number;
      }
      return normalisedValue(option, items);
    }
  }
  return wrongType(option, "\"" + cleanUtf8(text, 80) + "\"");
}

std::string textFromValue(const OptionSpec& option, const json& value) {
  switch (option.type) {
    case OptionType::Text:
    case OptionType::LongText:
    case OptionType::Path:
    case OptionType::Choice: return value.get<std::string>();
    case OptionType::Integer: return std::to_string(value.get<int64_t>());
    case OptionType::Real: return fmt::format("{}", value.get<double>());
    case OptionType::Flag: return value.get<bool>() ? "true" : "false";
    case OptionType::List: {
      std::string text;
      for (const json& item : value) {
        const std::string& piece = item.get_ref<const std::string&>();
        if (needsJsonForm(piece)) return jsonText(value);
        text += (text.empty() ? "" : ",") + piece;
      }
      return text;
    }
    case OptionType::Map: {
      std::string text;
      for (const auto& [name, item] : value.items()) {
        if (needsJsonForm(name)) return jsonText(value);
        text += (text.empty() ? "" : ",") + name + '=' + item.dump();
      }
      return text;
    }
  }
  return {};
}

}  // namespace rankscope

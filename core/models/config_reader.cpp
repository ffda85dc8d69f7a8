#include "core/models/config_reader.h"

#include <fmt/format.h>

namespace rankscope {

namespace {

std::string shown(const nlohmann::json& value) {
  const auto text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() > 80 ? fmt::format("{:.77}...", text) : text;
}

constexpr const char* kRepair = "Repair the entry, or take config.json from the model's publisher again.";

}  // namespace

const nlohmann::json* ConfigReader::find(const std::string& key) const {
  const auto it = m_json.find(key);
  return it == m_json.end() || it->is_null() ? nullptr : &*it;
}

void ConfigReader::fail(const std::string& key, const std::string& found, const std::string& expected,
                        const std::string& hint) const {
  throw ErrorException({ErrorCode::BadInput, fmt::format("the model's configuration has a wrong \"{}\"", key), m_where,
                        found, expected, hint});
}

int64_t ConfigReader::integer(const std::string& key, std::optional<int64_t> fallback, int64_t low,
                              int64_t high) const {
  const auto* value = find(key);
  const auto expected = fmt::format("a whole number from {} to {}", low, high);
  if (!value) {
    if (fallback) return *fallback;
    fail(key, "no entry", expected, kRepair);
  }
  if (!value->is_number_integer()) fail(key, shown(*value), expected, kRepair);
  const bool tooBig = value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  if (tooBig || value->get<int64_t>() < low || value->get<int64_t>() > high)
    fail(key, shown(*value), expected, kRepair);
  return value->get<int64_t>();
}

double ConfigReader::real(const std::string& key, std::optional<double> fallback, double low, double high) const {
  const auto* value = find(key);
  const auto expected = fmt::format("a number from {} to {}", low, high);
  if (!value) {
    if (fallback) return *fallback;
    fail(key, "no entry", expected, kRepair);
  }
  if (!value->is_number()) fail(key, shown(*value), expected, kRepair);
  const double number = value->get<double>();
  if (!(number >= low && number <= high)) fail(key, shown(*value), expected, kRepair);
  return number;
}

bool ConfigReader::flag(const std::string& key, bool fallback) const {
  const auto* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean()) fail(key, shown(*value), "true or false", kRepair);
  return value->get<bool>();
}

std::string ConfigReader::text(const std::string& key, const std::string& fallback) const {
  const auto* value = find(key);
  if (!value) return fallback;
  if (!value->is_string()) fail(key, shown(*value), "a text", kRepair);
  return value->get<std::string>();
}

int64_t classCountOf(const nlohmann::json& config) {
  if (const auto names = config.find("id2label"); names != config.end() && names->is_object() && !names->empty())
    return static_cast<int64_t>(names->size());
  const auto count = config.find("num_labels");
  return count != config.end() && count->is_number_integer() && *count > 0 && *count <= 1 << 20 ? count->get<int64_t>() : 0;
}

}  // namespace rankscope

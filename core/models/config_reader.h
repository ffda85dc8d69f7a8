#pragma once
// Typed, checked reading of a model's config.json: a wrong type or range is an ErrorException that names the key, what
// was found and what is expected.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/config/result.h"

namespace rankscope {

// Larger widths and vocabularies than any model has are mistakes of the file.
constexpr int64_t kMaxConfigSize = 1 << 24;
constexpr const char* kTakeConfigAgain = "Take config.json from the model's publisher again.";

class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& json, std::string where) : m_json(json), m_where(std::move(where)) {}

  int64_t integer(const std::string& key, std::optional<int64_t> fallback, int64_t low, int64_t high) const;
  double real(const std::string& key, std::optional<double> fallback, double low, double high) const;
  bool flag(const std::string& key, bool fallback) const;
  std::string text(const std::string& key, const std::string& fallback) const;
  bool has(const std::string& key) const { return m_json.contains(key) && !m_json[key].is_null(); }
  const nlohmann::json& json() const { return m_json; }
  [[noreturn]] void fail(const std::string& key, const std::string& found, const std::string& expected,
                         const std::string& hint) const;

 private:
  const nlohmann::json* find(const std::string& key) const;
  const nlohmann::json& m_json;
  std::string m_where;
};

// Classes that a config names, by id2label or num_labels: a head of that size is the checkpoint's own. 0: not told.
int64_t classCountOf(const nlohmann::json& config);

}  // namespace rankscope

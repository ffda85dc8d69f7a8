#pragma once
// The versioned document of a run: what was given, over the defaults of the option table. A value, cheap to copy; no
// thread of its own. set() checks that the key exists and the value has its type; ranges, choices and rules across
// fields are validate()'s, which reports every mistake at once.

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/option_spec.h"
#include "core/config/places.h"
#include "core/config/result.h"

namespace rankscope {

// A mistake tied to the option it belongs to ("" for the document as a whole); error.where repeats the key.
struct ValidationIssue {
  std::string key;
  Error error;
};
// All of them in one Error (the first in full, the others in the hint), for callers that can carry only one.
Error combineIssues(const std::vector<ValidationIssue>& issues);

struct ParsedConfig;

class RunConfig {
 public:
  static constexpr int kVersion = 1;

  // A nested document of this or an older version. Any mistake of form (unknown key, wrong type, newer version) is an
  // error; see read() for all of them together with what could be taken.
  static Result<RunConfig> parse(const nlohmann::json& document);
  static ParsedConfig read(const nlohmann::json& document);
  static Result<RunConfig> load(const std::filesystem::path& file);

  // Complete: every applicable option with its value, and keys set although they do not apply; sorted. What a run
  // freezes, and what parse() reads back to an equal config.
  nlohmann::json toJson() const;
  // Only what was set: drafts and presets.
  nlohmann::json toSparseJson() const;

  Result<void> set(std::string_view key, const nlohmann::json& value);
  // As --set does: numbers, true/false, lists as "a,b" or JSON, maps as "q_proj=4,v_proj=16" or JSON.
  Result<void> setText(std::string_view key, std::string_view text);
  void unset(std::string_view key);  // back to the default

  // Takes all set values of `other` (a preset over defaults, a draft over a preset).
  void overlay(const RunConfig& other);
  // "key=value" texts, as --set gives them. Options of the config below that stop applying (the warm-up of RefLoRA when
  // method.name=lora is assigned) are dropped; those assigned here stay, so that validate() names them.
  std::vector<ValidationIssue> assign(const std::vector<std::string>& assignments);
  // Unsets every option that does not apply; returns their keys.
  std::vector<std::string> dropInapplicable();

  bool isSet(std::string_view key) const;
  bool isDefault(std::string_view key) const;  // unset, or set to the default's value

  // The value, or the default when unset. The key must exist with this type (assertion otherwise).
  std::string str(std::string_view key) const;  // Text, LongText, Path, Choice
  int64_t integer(std::string_view key) const;
  double real(std::string_view key) const;  // Integer options too
  bool flag(std::string_view key) const;
  std::vector<std::string> list(std::string_view key) const;
  std::map<std::string, double> map(std::string_view key) const;
  // Any type, as JSON, and as text that setText() reads back to the same value.
  nlohmann::json value(std::string_view key) const;
  std::string valueText(std::string_view key) const;

  // Equal in every option's value (set or default).
  friend bool operator==(const RunConfig& a, const RunConfig& b);

 private:
  std::map<std::string, nlohmann::json, std::less<>> m_values;  // normalised to the option's type
};

struct ParsedConfig {
  RunConfig config;                     // everything that was right
  std::vector<ValidationIssue> issues;  // everything that was not
};

// --- validate.cpp -----------------------------------------------------------------------------------------------
// Every mistake in the config itself: ranges, choices, options that do not apply, rules across fields. Reads no file.
std::vector<ValidationIssue> validate(const RunConfig& config);
// Files and folders that the config names exist and can be read. Touches the disk: not on the GUI's thread.
std::vector<ValidationIssue> validatePaths(const RunConfig& config, const Places& places);

// --- config_diff.cpp --------------------------------------------------------------------------------------------
// Keys whose values differ, in the table's order. Options that apply to neither are left out.
std::vector<std::string> changedKeys(const RunConfig& base, const RunConfig& config);

struct ConfigDifference {
  std::string key;
  std::vector<nlohmann::json> values;  // one per config; null where the option does not apply there
};
// Keys in which several configs differ (name and notes are left out: they differ by nature).
std::vector<ConfigDifference> differences(const std::vector<RunConfig>& configs);

// --- command_text.cpp -------------------------------------------------------------------------------------------
// One shell word, quoted where a POSIX shell needs it.
std::string shellQuote(std::string_view text);
// The texts "key=value" that make `config` out of `base` by assign().
std::vector<std::string> assignments(const RunConfig& base, const RunConfig& config);
// "rankscope-train train --preset X --set a=b …"; an empty preset name means base = defaults and no --preset.
std::string commandText(const RunConfig& config, const std::string& presetName = {}, const RunConfig& base = {},
                        const std::string& command = "train");

// --- migrate.cpp ------------------------------------------------------------------------------------------------
// Brings a document of an older version to kVersion; an error for a newer or senseless version.
Result<nlohmann::json> migrateConfig(nlohmann::json document);

}  // namespace rankscope

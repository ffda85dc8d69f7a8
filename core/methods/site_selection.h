#pragma once
// Names of sites against the patterns of a config, by PEFT's rules, so that a config means the same sites in both
// programs.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/models/linear_site.h"

namespace rankscope {

// target_modules: a list of names, each equal to the site's or to its last components ("q_proj",
// "attention.output.dense"). A single entry with regular-expression characters must match the whole name.
class TargetMatcher {
 public:
  static Result<TargetMatcher> make(const std::vector<std::string>& targets);
  bool matches(const std::string& siteName) const;
  // all-linear takes no convolution and no embedding; the task head is the caller's to leave out.
  bool chooses(const SiteShape& site) const;
  bool allLinear() const { return m_allLinear; }

 private:
  std::vector<std::string> m_names;
  std::string m_pattern;  // not empty: a regular expression
  bool m_allLinear = false;
};

// layers_to_transform: "3", "0-5", "8-" (to the end). Empty: every layer.
class LayerFilter {
 public:
  static Result<LayerFilter> make(const std::vector<std::string>& layers);
  bool contains(int64_t layer) const;

 private:
  struct Range {
    int64_t first, last;
  };
  std::vector<Range> m_ranges;
};

// rank_pattern and alpha_pattern: the first key that, as a regular expression, matches the site's name or its last
// components ("^" anchors it at the front); nullptr when none does.
template <typename T>
const T* findPattern(const std::map<std::string, T>& patterns, const std::string& siteName);
bool patternMatches(const std::string& pattern, const std::string& siteName);

template <typename T>
const T* findPattern(const std::map<std::string, T>& patterns, const std::string& siteName) {
  for (const auto& [pattern, value] : patterns)
    if (patternMatches(pattern, siteName)) return &value;
  return nullptr;
}

// True when `name` is `target` or ends in "." + target.
bool endsInModule(const std::string& name, const std::string& target);
inline bool isBias(const std::string& parameter) { return endsInModule(parameter, "bias"); }

}  // namespace rankscope

#include <algorithm>

#include "core/config/run_config.h"

namespace rankscope {

std::vector<std::string> changedKeys(const RunConfig& base, const RunConfig& config) {
  std::vector<std::string> keys;
  for (const OptionSpec& option : optionTable())
    if (base.value(option.key) != config.value(option.key) && (applies(option, base) || applies(option, config)))
      keys.push_back(option.key);
  return keys;
}

std::vector<ConfigDifference> differences(const std::vector<RunConfig>& configs) {
  std::vector<ConfigDifference> found;
  for (const OptionSpec& option : optionTable()) {
    if (option.key == "name" || option.key == "notes") continue;
    ConfigDifference difference{option.key, {}};
    for (const RunConfig& config : configs)
      difference.values.push_back(applies(option, config) ? config.value(option.key) : nlohmann::json());
    const auto& values = difference.values;
    if (std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) != values.end())
      found.push_back(std::move(difference));
  }
  return found;
}

}  // namespace rankscope

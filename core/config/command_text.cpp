#include <algorithm>

#include "core/config/run_config.h"

namespace rankscope {

std::string shellQuote(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:=,+@%").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'')
      quoted += "'\\''";
    else if (c != '\0')  // cannot be in an argument
      quoted += c;
  }
  return quoted + "'";
}

std::vector<std::string> assignments(const RunConfig& base, const RunConfig& config) {
  std::vector<std::string> texts;
  for (const OptionSpec& option : optionTable())
    if (applies(option, config) && base.value(option.key) != config.value(option.key))
      texts.push_back(option.key + '=' + config.valueText(option.key));
  return texts;
}

std::string commandText(const RunConfig& config, const std::string& presetName, const RunConfig& base,
                        const std::string& command) {
  std::string text = "rankscope-train " + command;
  if (!presetName.empty()) text += " --preset " + shellQuote(presetName);
  for (const std::string& assignment : assignments(presetName.empty() ? RunConfig() : base, config))
    text += " --set " + shellQuote(assignment);
  return text;
}

}  // namespace rankscope

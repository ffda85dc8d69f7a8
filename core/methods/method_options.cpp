#include "core/methods/method_options.h"

#include <fmt/format.h>

#include <algorithm>

namespace rankscope {

namespace {

const nlohmann::json* find(const MethodSettings& settings, const char* key) {
  const auto found = settings.options.find(key);
  return found == settings.options.end() || found->is_null() ? nullptr : &*found;
}

Error outOfRange(const char* key, const nlohmann::json& found, const std::string& expected) {
  return {ErrorCode::Usage, "A method option is out of range", std::string("method.") + key,
          found.dump(),     expected,                          "Choose a value within the range."};
}

}  // namespace

Result<int64_t> countOption(const MethodSettings& settings, const char* key, int64_t standard, int64_t low) {
  const nlohmann::json* found = find(settings, key);
  if (!found) return standard;
  if (!found->is_number_integer() || found->get<int64_t>() < low)
    return outOfRange(key, *found, fmt::format("a whole number of at least {}", low));
  return found->get<int64_t>();
}

Result<double> realOption(const MethodSettings& settings, const char* key, double standard, double low, double high) {
  const nlohmann::json* found = find(settings, key);
  if (!found) return standard;
  if (!found->is_number() || !(found->get<double>() >= low && found->get<double>() <= high))
    return outOfRange(key, *found, fmt::format("a number from {} to {}", low, high));
  return found->get<double>();
}

Result<bool> flagOption(const MethodSettings& settings, const char* key, bool standard) {
  const nlohmann::json* found = find(settings, key);
  if (!found) return standard;
  if (!found->is_boolean()) return outOfRange(key, *found, "true or false");
  return found->get<bool>();
}

Result<std::string> choiceOption(const MethodSettings& settings, const char* key, const std::string& standard,
                                 const std::vector<std::string>& choices) {
  const std::string chosen = textOption(settings, key, standard);
  if (std::find(choices.begin(), choices.end(), chosen) != choices.end()) return chosen;
  return outOfRange(key, chosen, fmt::format("{}", fmt::join(choices, ", ")));
}

std::string textOption(const MethodSettings& settings, const char* key, const std::string& standard) {
  const nlohmann::json* found = find(settings, key);
  return found && found->is_string() ? found->get<std::string>() : standard;
}

}  // namespace rankscope

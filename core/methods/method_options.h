#pragma once
// A method's own options (MethodSettings::options), read with their defaults and bounds. The error names the option.

#include <cstdint>
#include <string>
#include <vector>

#include "core/methods/method.h"

namespace rankscope {

// A whole number of at least `low`.
Result<int64_t> countOption(const MethodSettings& settings, const char* key, int64_t standard, int64_t low);
// A number in [low, high].
Result<double> realOption(const MethodSettings& settings, const char* key, double standard, double low, double high);
// true or false.
Result<bool> flagOption(const MethodSettings& settings, const char* key, bool standard);
// One of the texts.
Result<std::string> choiceOption(const MethodSettings& settings, const char* key, const std::string& standard,
                                 const std::vector<std::string>& choices);
// A text; `standard` where the option is absent.
std::string textOption(const MethodSettings& settings, const char* key, const std::string& standard);

}  // namespace rankscope

#pragma once
// Values of options: from JSON or text to the form RunConfig keeps, and back to text. Private to core/config.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/config/option_spec.h"
#include "core/config/result.h"

namespace rankscope {

// `value` in the option's own type (an integral 3.0 becomes 3, a whole number becomes a real, layer ranges are taken
// apart), or an error when the type does not fit. Ranges and choices are not looked at.
Result<nlohmann::json> normalisedValue(const OptionSpec& option, const nlohmann::json& value);
Result<nlohmann::json> valueFromText(const OptionSpec& option, std::string_view text);
// Reads back to the same value by valueFromText().
std::string textFromValue(const OptionSpec& option, const nlohmann::json& value);

}  // namespace rankscope

#pragma once
// Configs of adapters that are not of low rank: PEFT's PREFIX_TUNING, LLM-Adapters' BOTTLENECK, and this program's own
// ADAPTER, REFT and BITFIT, for which PEFT has no type. Free functions, any thread.

#include <nlohmann/json.hpp>

#include "core/methods/method.h"

namespace rankscope {

// Whether adapter_config.json is of one of these types.
bool describesModules(const nlohmann::json& config);
// The settings it describes; the error names the key that cannot be used.
Result<MethodSettings> settingsFromModulesConfig(const nlohmann::json& config);

}  // namespace rankscope

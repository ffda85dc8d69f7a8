#pragma once
// The rows of the option table, one function a group; private to core/config (read them through optionTable()).

#include <vector>

#include "core/config/method_kind.h"
#include "core/config/option_spec.h"

namespace rankscope::options {

std::vector<OptionSpec> runOptions();
std::vector<OptionSpec> modelOptions();
std::vector<OptionSpec> dataOptions();
std::vector<OptionSpec> methodOptions();
std::vector<OptionSpec> startOptions();
std::vector<OptionSpec> ruleOptions();
std::vector<OptionSpec> baseOptions();
std::vector<OptionSpec> insertedOptions();
std::vector<OptionSpec> optimOptions();
std::vector<OptionSpec> trainOptions();

// Conditions used by several groups. A negated condition takes in methods that are added later.
inline AppliesWhen lowRank() { return {"method.name", methodsWithoutFactors(), true}; }
inline AppliesWhen methodIsNot(std::vector<std::string> names) { return {"method.name", std::move(names), true}; }
inline AppliesWhen methodIs(std::vector<std::string> names) { return {"method.name", std::move(names)}; }
inline AppliesWhen generative() { return {"data.task", {"causal_lm", "instruction", "multiple_choice"}}; }
inline AppliesWhen labelled() { return {"data.task", {"classification", "regression"}}; }

}  // namespace rankscope::options

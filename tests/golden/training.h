#pragma once
// A recorded training of any method: start, gradients, losses, parameters and outputs.

#include <functional>
#include <string>

#include "core/methods/method.h"
#include "tests/golden/check.h"

namespace rankscope::golden {

// Our name of a recorded tensor; empty where we have none.
using OwnName = std::function<std::string(const std::string& recorded)>;

// Puts the recorded start into the attached method and trains as the case says. `onlyRecorded`: what trains here and is not
// recorded is left frozen.
void compareTraining(const Case& golden, Model& model, Method& method, Findings& findings, bool onlyRecorded,
                     const OwnName& own);

}  // namespace rankscope::golden

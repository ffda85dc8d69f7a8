#pragma once
// Which head of a model a task needs, by their names in data.task and model.head. Any thread.

#include <string>

namespace rankscope {

// "causal_lm" for a task that is not known.
std::string headForTask(const std::string& task);

}  // namespace rankscope

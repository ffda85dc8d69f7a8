#pragma once
// What follows from a task by its name in data.task: the head of a model that it needs (as in model.head), and what its
// work is counted in. Any thread.

#include <string>

namespace rankscope {

// "causal_lm" for a task that is not known.
std::string headForTask(const std::string& task);

// "images" or "tokens": what a run's "tokens" are, from its batches to its speed. Told by the run's start event too.
inline constexpr const char* kUsualUnit = "tokens";
std::string unitOfTask(const std::string& task);
// The series of the speed: "train/images_per_second".
std::string speedSeries(const std::string& unit);

}  // namespace rankscope

#pragma once
// README.md of an exported folder: what it is, what it was made from, with which settings, and how it scored. Its front
// matter is the Hugging Face hub's. Free function, any thread.

#include <string>

#include "core/train/output_check.h"

namespace rankscope {

enum class CardKind { Model, Adapter };
std::string modelCard(CardKind kind, const TrainedModel& trained, const std::string& baseName,
                      const OutputCheck& check);

}  // namespace rankscope

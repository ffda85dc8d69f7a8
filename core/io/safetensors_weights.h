#pragma once
// safetensors as one of the weight formats (see weight_file.h): views onto the mapped file.

#include <string_view>

#include "core/io/weight_file.h"

namespace rankscope {

bool looksLikeSafetensors(std::string_view start);
Result<WeightFilePtr> openSafetensorsWeights(const std::filesystem::path& path);

}  // namespace rankscope

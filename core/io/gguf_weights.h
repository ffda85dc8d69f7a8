#pragma once
// GGUF as one of the weight formats (see weight_file.h). Tensors of a known model family have Hugging Face's names, row
// order and float32 values; other files keep their names. Plain numbers are views onto the mapped file, blocks are
// decoded when asked for. Thread-safe.

#include "core/io/gguf.h"
#include "core/io/weight_file.h"

namespace rankscope {

Result<WeightFilePtr> openGgufWeights(const std::filesystem::path& path);

}  // namespace rankscope

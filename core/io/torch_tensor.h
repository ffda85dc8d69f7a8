#pragma once
// A RawTensor as a tensor of torch: a view that keeps the file mapped, or a copy where the file places it off its
// natural alignment. Free functions, any thread.

#include <ATen/core/Tensor.h>

#include "core/io/weight_file.h"

namespace rankscope {

Result<at::Tensor> tensorFrom(const RawTensor& raw, const std::string& where);

// The torch dtype of a safetensors dtype; the error says that torch has none (F4, F6).
Result<at::ScalarType> torchDtype(Dtype dtype, const std::string& where);
Result<Dtype> safetensorsDtype(at::ScalarType type, const std::string& where);

}  // namespace rankscope

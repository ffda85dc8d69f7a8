#pragma once
// Random starts that depend on nothing but (seed, name, position): a counter-based generator (Philox4x32-10; Salmon et
// al., SC 2011), so that thread count, order of sites and other sites' shapes change no bit of a site's start.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace rankscope {

// U(−bound, bound) into a contiguous CPU or device tensor of a floating type.
void fillUniform(at::Tensor& tensor, double bound, uint64_t seed, const std::string& name);
// N(0, deviation²).
void fillNormal(at::Tensor& tensor, double deviation, uint64_t seed, const std::string& name);
// Kaiming-uniform with a = √5 of a [rows, fanIn] matrix: U(−1/√fanIn, 1/√fanIn).
void fillKaimingUniform(at::Tensor& matrix, uint64_t seed, const std::string& name);

}  // namespace rankscope

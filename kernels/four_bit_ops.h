#pragma once
// Weights kept in 4 bits (QLoRA; METHODS 19): quantise, give back, and multiply with a low-rank term on top. Registered
// as rankscope::four_bit_quantise, _dequantise, _linear and _linear_backward for CPU and CUDA; kernels/reference holds
// the plain forms that tests compare with. Formats and layout: kernels/four_bit_format.h. Training thread.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/four_bit_format.h"

namespace rankscope::kernels {

// One quantised matrix [out, in]. Immutable; the tensors are on one device.
struct FourBitWeight {
  four_bit::Format format = four_bit::Format::NF4;
  int64_t out = 0, in = 0;
  int64_t block = 64;  // values that share a maximum
  at::Tensor packed;   // uint8 [(out · in + 1) / 2]
  // float32 [blocks]; undefined under double quantisation, which has the other three.
  at::Tensor maxima;
  at::Tensor maximumCodes;   // uint8 [blocks]
  at::Tensor maximumScales;  // float32 [blocks / 256, rounded up]
  at::Tensor offset;         // float32 [1], the mean of the maxima

  bool defined() const { return packed.defined(); }
  bool doubleQuantised() const { return maximumCodes.defined(); }
  // Memory of all parts: 4.5 bits a value, 4.127 under double quantisation (blocks of 64, large matrices).
  int64_t bytes() const;
};

// weight [out, in], float32 or bfloat16, finite. block is a power of two of 32 … 4096. Throws c10::Error.
FourBitWeight quantiseFourBit(const at::Tensor& weight, four_bit::Format format, int64_t block, bool doubleQuantised);
// [out, in] in float32, bfloat16 or float64.
at::Tensor dequantiseFourBit(const FourBitWeight& weight, at::ScalarType type);

// x Wᵀ + bias + scaling · (dropout(x) Aᵀ) Bᵀ with the quantised W frozen; like loraLinear in ops.h in everything else.
// `a` and `b` undefined: no low-rank term. The gradient of x goes through the dequantised W.
at::Tensor fourBitLoraLinear(const at::Tensor& x, const FourBitWeight& weight, const at::Tensor& bias,
                             const at::Tensor& a, const at::Tensor& b, double scaling, double dropoutP, uint64_t seed,
                             uint64_t place);

// Several such maps of one input without dropout, like loraLinearGroup in ops.h: the weights lie one below the other.
at::Tensor fourBitLoraLinearGroup(const at::Tensor& x, const std::vector<FourBitWeight>& weights,
                                  const at::Tensor& bias, const std::vector<at::Tensor>& a,
                                  const std::vector<at::Tensor>& b, const std::vector<double>& scalings);

// The 256 values of the dynamic map for maxima, ascending in [−0.993, 1]; float32 on the CPU.
const at::Tensor& dynamicMap();

namespace cpu {
FourBitWeight quantiseFourBit(const at::Tensor& weight, four_bit::Format format, int64_t block, bool doubleQuantised);
at::Tensor dequantiseFourBit(const FourBitWeight& weight, at::ScalarType type);
}  // namespace cpu

namespace reference {
FourBitWeight quantiseFourBit(const at::Tensor& weight, four_bit::Format format, int64_t block, bool doubleQuantised);
at::Tensor dequantiseFourBit(const FourBitWeight& weight, at::ScalarType type);
}  // namespace reference

}  // namespace rankscope::kernels

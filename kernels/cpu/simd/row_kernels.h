#pragma once
// Row-wise arithmetic (norms, SwiGLU, GELU, dropout, DoRA's rows and columns) on plain rows of float32 or bfloat16, always computed in float32.
// The same source is compiled for several instruction sets; rowKernels() picks the best one that this CPU has. Rows are
// independent, so that callers may split them over threads; what is summed over rows goes into the caller's own buffer.

#include <cstdint>

namespace rankscope::kernels::simd {

enum class Isa { Baseline, Avx2, Avx512 };

struct DropoutSpec {
  uint32_t threshold = 0;  // 0: none
  float keep = 1;
  uint64_t seed = 0, place = 0;
};

template <typename T>  // float or uint16_t (bfloat16)
struct RowKernels {
  // sum = x + residual (residual may be null: then sum is not written and x stands for it); y = sum · rstd · weight.
  void (*rmsNorm)(const T* x, const T* residual, const float* weight, float eps, int64_t begin, int64_t end,
                  int64_t width, T* sum, T* y, float* rstd);
  // gradSum = gradient through y plus `gradOther` (may be null); gradWeight (may be null) is added to.
  void (*rmsNormBackward)(const T* gradY, const T* gradOther, const T* sum, const float* weight, const float* rstd,
                          int64_t begin, int64_t end, int64_t width, T* gradSum, float* gradWeight);
  // sum = dropout(x) + residual (residual may be null); y = (sum − mean) · rstd · weight + bias.
  void (*layerNorm)(const T* x, const T* residual, const float* weight, const float* bias, float eps,
                    const DropoutSpec& dropout, int64_t begin, int64_t end, int64_t width, T* sum, T* y, float* mean,
                    float* rstd);
  // gradResidual = gradient of sum; gradX (may equal gradResidual when there is no dropout) = the same through dropout.
  void (*layerNormBackward)(const T* gradY, const T* sum, const float* weight, const float* mean, const float* rstd,
                            const DropoutSpec& dropout, int64_t begin, int64_t end, int64_t width, T* gradX,
                            T* gradResidual, float* gradWeight, float* gradBias);
  void (*swiglu)(const T* gateUp, int64_t begin, int64_t end, int64_t width, T* y);
  void (*swigluBackward)(const T* gradY, const T* gateUp, int64_t begin, int64_t end, int64_t width, T* gradGateUp);
  // Elements begin … end of a flat array; begin is a multiple of 4.
  void (*gelu)(const T* x, int64_t begin, int64_t end, T* y);
  void (*geluBackward)(const T* gradY, const T* x, int64_t begin, int64_t end, T* gradX);
  void (*dropout)(const T* x, const DropoutSpec& dropout, int64_t begin, int64_t end, T* y);
  // norms = ‖w + scaling · b a‖ of each row: weight [rows, width], a [rank, width], b [rows, rank].
  void (*updatedRowNorms)(const T* weight, const float* a, const float* b, float scaling, int64_t rank, int64_t begin,
                          int64_t end, int64_t width, float* norms);
  // y = x + (x − shift) · excess by columns; shift may be null.
  void (*rescaleColumns)(const T* x, const float* shift, const float* excess, int64_t begin, int64_t end, int64_t width,
                         T* y);
  // gradX = gradY · (1 + excess); to `products` is added Σ gradY · (x − shift), to `sums` Σ gradY; each may be null.
  void (*rescaleColumnsBackward)(const T* gradY, const T* x, const float* shift, const float* excess, int64_t begin,
                                 int64_t end, int64_t width, T* gradX, float* products, float* sums);
};

Isa bestIsa();
template <typename T>
const RowKernels<T>& rowKernels(Isa isa);
template <typename T>
const RowKernels<T>& rowKernels() {
  static const auto& best = rowKernels<T>(bestIsa());
  return best;
}

}  // namespace rankscope::kernels::simd

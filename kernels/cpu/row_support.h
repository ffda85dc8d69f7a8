#pragma once
// What row operators on the CPU share: element types, and how rows are split over threads.

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>

namespace rankscope::kernels::cpu {

// Calls f with a null pointer to the element type; bfloat16 travels as its bits.
template <typename F>
auto withType(const at::Tensor& x, const F& f) {
  if (x.scalar_type() == at::kFloat) return f(static_cast<float*>(nullptr));
  TORCH_CHECK(x.scalar_type() == at::kBFloat16, "the operator takes float32 or bfloat16, not ", x.scalar_type());
  return f(static_cast<uint16_t*>(nullptr));
}

template <typename T>
T* data(const at::Tensor& t) {
  return static_cast<T*>(t.data_ptr());
}

constexpr int64_t kElementsPerTask = 16384;

inline int64_t grain(int64_t width) { return std::max<int64_t>(1, kElementsPerTask / std::max<int64_t>(width, 1)); }

// Shares of the rows for sums over rows: as many as there are threads.
inline int64_t shareCount() { return at::get_num_threads(); }

}  // namespace rankscope::kernels::cpu

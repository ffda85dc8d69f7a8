#pragma once
// What DoRA's operators ask of their arguments, on every device.

#include <ATen/core/Tensor.h>

#include <optional>

namespace rankscope::kernels {

// weight [out, in], a [r, in] and b [out, r], the factors in float32.
inline void checkRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b) {
  const auto factor = [](const at::Tensor& t) { return t.dim() == 2 && t.is_contiguous() && t.scalar_type() == at::kFloat; };
  TORCH_CHECK(weight.dim() == 2 && weight.is_contiguous() && factor(a) && factor(b) && a.size(1) == weight.size(1) &&
                  b.size(0) == weight.size(0) && b.size(1) == a.size(0),
              "dora_row_norms: weight ", weight.sizes(), ", a ", a.sizes(), " ", a.scalar_type(), ", b ", b.sizes(), " ",
              b.scalar_type(), "; expected [out, in], float32 [r, in] and float32 [out, r], contiguous");
}

// x [T, out], excess and shift [out] in float32.
inline void checkColumns(const at::Tensor& x, const std::optional<at::Tensor>& shift, const at::Tensor& excess) {
  const auto fits = [&](const at::Tensor& t) {
    return t.is_contiguous() && t.numel() == x.size(-1) && t.scalar_type() == at::kFloat;
  };
  TORCH_CHECK(x.dim() == 2 && x.is_contiguous() && fits(excess) && (!shift || fits(*shift)), "rescale_columns: x ",
              x.sizes(), ", excess ", excess.sizes(), " ", excess.scalar_type(),
              "; expected [T, out] and float32 [out] for excess and shift, contiguous");
}

// x, shift and excess as above; its gradient like x.
inline void checkColumns(const at::Tensor& gradY, const at::Tensor& x, const std::optional<at::Tensor>& shift,
                         const at::Tensor& excess) {
  checkColumns(x, shift, excess);
  TORCH_CHECK(gradY.is_contiguous() && gradY.sizes() == x.sizes() && gradY.scalar_type() == x.scalar_type(),
              "rescale_columns_backward: gradient ", gradY.sizes(), " ", gradY.scalar_type(), "; expected x's ", x.sizes(),
              " ", x.scalar_type());
}

}  // namespace rankscope::kernels

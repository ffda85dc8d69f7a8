#pragma once
// DoRA's two operations (Liu et al., 2024; METHODS 6): the norms of the rows of V = W + s B A, of which no more exists at
// once than a few rows' strips, and rows of an output rescaled to their magnitudes.

#include <ATen/core/Tensor.h>

namespace rankscope::kernels {

// ‖W + s B A‖ of each row, [out] in A's dtype, at least the smallest positive number, so that one can divide by it. W
// [out, in] of any floating dtype.
at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling);

// ‖diag(m/‖V‖) V − W‖_F of the whole update, without its cancellation: with c = m/‖V‖ it is the norm of
// (c − 1) W + c s B A, formed in blocks of rows.
double doraUpdateNorm(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling,
                      const at::Tensor& magnitude);

// (y − bias) · magnitude / norm + bias, by columns of y [T, out]; exactly y where magnitude = norm. Gradients for y and
// the magnitude (and a bias that trains); none for the norm, which DoRA holds constant. `bias` may be undefined.
at::Tensor rescaleColumns(const at::Tensor& y, const at::Tensor& bias, const at::Tensor& magnitude,
                          const at::Tensor& norm);

namespace reference {
// The same by their definitions: for tests, and for dtypes that have no kernel.
at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling);
at::Tensor rescaleColumns(const at::Tensor& y, const at::Tensor& bias, const at::Tensor& magnitude,
                          const at::Tensor& norm);
}  // namespace reference

}  // namespace rankscope::kernels

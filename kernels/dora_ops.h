#pragma once
// DoRA's two operations (Liu et al., 2024; METHODS 6): the norms of the rows of V = W + s B A without forming V, and
// rows of an output rescaled to their magnitudes. Composites of ATen operators, on any device.

#include <ATen/core/Tensor.h>

namespace rankscope::kernels {

// Sums of squares of the rows of W [out, in]: [out] float64.
at::Tensor rowSquares(const at::Tensor& weight);

// W Aᵀ [out, r] in A's dtype, for a weight of any floating dtype; a narrower one is widened block by block.
at::Tensor timesTransposed(const at::Tensor& weight, const at::Tensor& a);

// ‖W + s B A‖ of each row, [out] in A's dtype: ‖w_i‖² + 2 s b_i·(W Aᵀ)_i + s² b_i (A Aᵀ) b_iᵀ, summed in float64; at
// least the smallest positive number, so that one can divide by it. `squares` is rowSquares(weight).
at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& squares, const at::Tensor& a, const at::Tensor& b,
                        double scaling);

// ‖diag(m/‖V‖) V − W‖_F of the whole update, without its cancellation: with c = m/‖V‖ it is the norm of
// (c − 1) W + c s B A, row by row.
double doraUpdateNorm(const at::Tensor& weight, const at::Tensor& squares, const at::Tensor& a, const at::Tensor& b,
                      double scaling, const at::Tensor& magnitude);

// (y − bias) · magnitude / norm + bias, by columns of y [T, out]; exactly y where magnitude = norm. Gradients for y and
// the magnitude (and a bias that trains); none for the norm, which DoRA holds constant. `bias` may be undefined.
at::Tensor rescaleColumns(const at::Tensor& y, const at::Tensor& bias, const at::Tensor& magnitude,
                          const at::Tensor& norm);

namespace reference {
// The same by their definitions, for tests.
at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling);
at::Tensor rescaleColumns(const at::Tensor& y, const at::Tensor& bias, const at::Tensor& magnitude,
                          const at::Tensor& norm);
}  // namespace reference

}  // namespace rankscope::kernels

#pragma once
// The r×r algebra that rules on pairs (A, B) share, in float64: a Gram matrix of a float32 factor loses half the digits of
// its small singular values, and B starts at 0. Matrices of one size are worked as one stack.

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace rankscope {

at::Tensor gramOfA(const at::Tensor& a);  // A Aᵀ [r, r]
at::Tensor gramOfB(const at::Tensor& b);  // Bᵀ B [r, r]

// Applies `work` to stacks [n, rows, columns] of the matrices of one shape, and gives each matrix its result.
std::vector<at::Tensor> batched(const std::vector<at::Tensor>& matrices,
                                const std::function<at::Tensor(const at::Tensor&)>& work);

// left[i] · right[i].
std::vector<at::Tensor> products(const std::vector<at::Tensor>& left, const std::vector<at::Tensor>& right);

// (M + damping I)⁻¹ of symmetric positive semi-definite matrices.
std::vector<at::Tensor> dampedInverses(const std::vector<at::Tensor>& grams, double damping);
// X with P X + X Q = C for symmetric positive semi-definite P, Q [r, r]; 0 along directions that neither reaches.
std::vector<at::Tensor> solveSylvester(const std::vector<at::Tensor>& p, const std::vector<at::Tensor>& q,
                                       const std::vector<at::Tensor>& c);

// Small matrix times a factor or gradient, in the latter's dtype.
at::Tensor leftTimes(const at::Tensor& small, const at::Tensor& wide);
at::Tensor timesRight(const at::Tensor& tall, const at::Tensor& small);

}  // namespace rankscope

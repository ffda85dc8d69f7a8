#pragma once
// Edits of hidden states (Wu et al. 2024, ReFT; METHODS 18) at the output of chosen blocks, at chosen positions of the
// prompt:
//   LoReFT: h + Rᵀ(U h + b − R h), R [r, d] with orthonormal rows
//   DiReFT: h + U1ᵀ(U2 h + b), unconstrained as in the papers; with method.orthonormal U1 = R as above (pyreft's
//   DiReFT)
// R is a Householder product, as PyTorch's orthogonal parametrisation makes it: its columns are Q0 · H(X)[:, :r], with
// Q0 a fixed orthogonal matrix kept as its own reflectors, so that R Rᵀ = I holds to rounding after any number of
// steps.

#include "core/config/edited_positions.h"
#include "core/methods/inserted.h"

namespace rankscope {

Result<std::unique_ptr<InsertedModules>> makeReft(const Model& model, const MethodSettings& settings);
Result<InsertedCost> reftCost(const MethodSettings& settings, const ModelOutline& outline, int64_t layer);

// An orthogonal [d, d] matrix as a product of reflectors and signs, Q = H_1 … H_k · diag(sign).
struct OrthogonalBase {
  at::Tensor reflectors;  // [d, k], below the diagonal
  at::Tensor factors;     // [k], τ
  at::Tensor signs;       // [d], ±1
  // Q x, x [d, m].
  at::Tensor times(const at::Tensor& x) const;
  // Of a matrix [d, k] of orthonormal columns: the first k columns of Q are that matrix.
  static OrthogonalBase completing(const at::Tensor& columns);
};
// R [r, d] of the parametrisation, X [d, r] = `original`.
at::Tensor orthonormalRows(const OrthogonalBase& base, const at::Tensor& original);

}  // namespace rankscope

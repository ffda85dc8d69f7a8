#pragma once
// Leading singular triplets of M = D + P Qᵀ, D rectangular diagonal, without a full SVD (design page SPECTRUM).
//
// In the basis of W0 = U0 D V0ᵀ a low-rank update is M = U0ᵀ (W0 + s B A) V0: a diagonal plus r columns. The components
// of a left singular vector of M ARE its cosines with the left singular vectors of W0.
//
// Everything is float64 on the CPU. Deterministic.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace rankscope {

struct LeadingTriplets {
  at::Tensor sigma;     // [k], falling
  at::Tensor left;      // [k, rows] row j: left vector j in the basis of U0 (components beyond n: outside its span)
  double residual = 0;  // max over j of ‖Mᵀu − σv‖ / σ_1; ‖Mv − σu‖ is zero by construction
  double orthogonality = 0;  // max |⟨u_i, u_j⟩|, i ≠ j
  bool dense = false;        // computed by a full SVD
};

// diagonal [n] falling, P [rows, r], Q [columns, r]; D is rows × columns with `diagonal` on it, rows, columns ≥ n.
// By Sylvester's law of inertia the number of eigenvalues of MᵀM = D² + F C Fᵀ below λ is counted from a small
// symmetric matrix; bisection on the counts finds each eigenvalue, the null vector of that matrix its singular vector.
// The poles nearest to λ are kept as rows of the small matrix instead of being divided by, so that a vector which the
// update hardly moves costs no accuracy. Falls back to the dense SVD when the residual exceeds `tolerance`, or when the
// small matrix is no longer small against n.
LeadingTriplets leadingTriplets(const at::Tensor& diagonal, const at::Tensor& P, const at::Tensor& Q, int64_t k,
                                double tolerance = 1e-9);

// The same numbers by LAPACK's SVD of the assembled matrix; the reference for tests and the fallback.
LeadingTriplets leadingTripletsDense(const at::Tensor& matrix, int64_t k);

}  // namespace rankscope

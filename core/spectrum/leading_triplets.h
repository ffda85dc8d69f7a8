#pragma once
// Leading singular triplets of an updated matrix without a full SVD (design page SPECTRUM): of M = D + P Qᵀ, which is W0
// plus a low-rank update in the basis of W0's singular vectors, and of any matrix close to one whose vectors are known.
//
// In the basis of W0 = U0 D V0ᵀ a low-rank update is M = U0ᵀ (W0 + s B A) V0: a diagonal plus r columns. The components
// of a left singular vector of M ARE its cosines with the left singular vectors of W0.
//
// Everything is float64 on the CPU. Deterministic. Any thread.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace rankscope {

struct LeadingTriplets {
  at::Tensor sigma;     // [k], falling
  at::Tensor left;      // [k, rows], row j: left vector j
  at::Tensor right;     // [k, columns]
  double residual = 0;  // max over j of ‖Mᵀu − σv‖ / σ_1; ‖Mv − σu‖ is zero to working precision by construction
  double orthogonality = 0;  // max |⟨u_i, u_j⟩|, i ≠ j
  bool dense = false;        // computed by a full SVD
};

// D is rows × columns with `diagonal` [n], falling, on it; P [rows, r], Q [columns, r]; rows, columns ≥ n.
struct UpdatedDiagonal {
  at::Tensor diagonal, P, Q;

  int64_t rows() const { return P.size(0); }
  int64_t columns() const { return Q.size(0); }
  UpdatedDiagonal transposed() const { return {diagonal, Q, P}; }
  // Of rows x [j, columns], respectively [j, rows]: (M x)ᵀ and (Mᵀ x)ᵀ.
  at::Tensor times(const at::Tensor& x) const;
  at::Tensor timesTransposed(const at::Tensor& x) const { return transposed().times(x); }
  at::Tensor dense() const;
};

// Vectors in the bases that D stands in; components beyond n lie outside the span of W0's.
//
// The leading eigenvectors of MᵀM = D² + F C Fᵀ are found by Lanczos on (λ − MᵀM)⁻¹ with λ just above the largest
// eigenvalue; this inverse costs a few passes over F (Woodbury). That none was missed is shown by Sylvester's law of
// inertia, which counts the eigenvalues above the k-th found; a repeated eigenvalue is completed by further runs beside
// the vectors that are known. Falls back to the dense SVD when the residual exceeds `tolerance`, or when the update's
// rank or k is no longer small against n.
LeadingTriplets leadingTriplets(const UpdatedDiagonal& matrix, int64_t k, double tolerance = 1e-9);

// Of any matrix W [rows, columns] by block Lanczos on WᵀW (or W Wᵀ, whichever is smaller) with thick restarts, from the
// right vectors `nearby` [columns, any] and the left ones [rows, any] of a matrix that it does not differ from much, and a
// few random ones, so that no direction is left out. Falls back as above.
LeadingTriplets leadingTriplets(const at::Tensor& W, const at::Tensor& nearbyLeft, const at::Tensor& nearbyRight, int64_t k,
                                double tolerance = 1e-9);

// The same numbers by LAPACK's SVD of the assembled matrix; the reference for tests and the fallback.
LeadingTriplets leadingTripletsDense(const at::Tensor& matrix, int64_t k);

}  // namespace rankscope

#pragma once
// G = MᵀM for M = D + P Qᵀ, D rectangular diagonal: a diagonal matrix plus 2r columns, G = D² + F C Fᵀ with F = [DᵀP, Q]
// and C = [[0, I], [I, PᵀP]] (design page SPECTRUM). It is never formed: what is done with it costs a few passes over F.
// float64 on the CPU. Not for two threads at once.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rankscope {

class UpdatedGram {
 public:
  // diagonal [n], P [rows, r], Q [columns, r] with rows, columns ≥ n.
  UpdatedGram(const at::Tensor& diagonal, const at::Tensor& P, const at::Tensor& Q);

  int64_t size() const { return m_size; }
  // At least its largest eigenvalue: (d_1 + ‖P‖ ‖Q‖)².
  double bound() const { return m_bound; }

  // Number of eigenvalues above `value`, by Sylvester's law of inertia: the signs of a 2r × 2r matrix.
  int64_t countAbove(double value) const;
  // Readies times() for (shift − G)⁻¹. Shifts above all eigenvalues of G and of D² are always well behaved.
  void factor(double shift);
  // y = (shift − G)⁻¹ x, vectors of size().
  void times(const double* x, double* y) const;

 private:
  // −C⁻¹ − Fᵀ (D² − shift)⁻¹ F.
  at::Tensor small(double shift) const;

  int64_t m_size = 0, m_width = 0;  // columns; 2r
  double m_bound = 0;
  at::Tensor m_squares, m_F, m_negCInverse;
  // Of the shift that was factored: 1 / (d² − shift), and (C⁻¹ + Fᵀ (D² − shift)⁻¹ F)⁻¹.
  at::Tensor m_gaps, m_inverse;
};

}  // namespace rankscope

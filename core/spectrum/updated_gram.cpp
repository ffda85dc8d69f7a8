#include "core/spectrum/updated_gram.h"

#include <cmath>

namespace rankscope {

UpdatedGram::UpdatedGram(const at::Tensor& diagonal, const at::Tensor& P, const at::Tensor& Q)
    : m_size(Q.size(0)), m_width(2 * P.size(1)) {
  const int64_t n = diagonal.size(0), r = P.size(1);
  m_squares = at::zeros({m_size}, at::kDouble);
  m_squares.narrow(0, 0, n).copy_(diagonal.square());
  at::Tensor scaled = at::zeros({m_size, r}, at::kDouble);  // DᵀP
  scaled.narrow(0, 0, n).copy_(P.narrow(0, 0, n) * diagonal.unsqueeze(1));
  m_F = at::cat({scaled, Q}, 1).contiguous();
  const at::Tensor eye = at::eye(r, at::kDouble), none = at::zeros({r, r}, at::kDouble);
  m_negCInverse = at::cat({at::cat({P.t().matmul(P), -eye}, 1), at::cat({-eye, none}, 1)}, 0);
  const double norm = (n > 0 ? diagonal.max().item<double>() : 0) + P.norm().item<double>() * Q.norm().item<double>();
  m_bound = norm * norm;
}

at::Tensor UpdatedGram::small(double shift) const {
  const at::Tensor weighted = m_F / (m_squares - shift).unsqueeze(1);
  return m_negCInverse - m_F.t().matmul(weighted);
}

// #{λ(G) < x} = #{d² < x} + neg(−C⁻¹ − Fᵀ(D² − x)⁻¹F) − neg(−C⁻¹), and −C⁻¹ has r negative eigenvalues.
int64_t UpdatedGram::countAbove(double value) const {
  const int64_t below = (m_squares < value).sum().item<int64_t>();
  const int64_t negative = (at::linalg_eigvalsh(small(value)) < 0).sum().item<int64_t>();
  return m_size - (below + negative - m_width / 2);
}

void UpdatedGram::factor(double shift) {
  m_gaps = (m_squares - shift).reciprocal();
  m_inverse = at::linalg_inv(-small(shift)).contiguous();
}

// Woodbury: (S + F C Fᵀ)⁻¹ = S⁻¹ − S⁻¹ F (C⁻¹ + Fᵀ S⁻¹ F)⁻¹ Fᵀ S⁻¹ with S = D² − shift; and the sign is turned.
void UpdatedGram::times(const double* x, double* y) const {
  const double* gaps = m_gaps.const_data_ptr<double>();
  const double* F = m_F.const_data_ptr<double>();
  const double* inverse = m_inverse.const_data_ptr<double>();
  std::vector<double> t(static_cast<size_t>(m_width), 0.0), z(static_cast<size_t>(m_width));
  double* sums = t.data();
  for (int64_t i = 0; i < m_size; ++i) {
    const double v = gaps[i] * x[i];
    const double* row = F + i * m_width;
#pragma omp simd
    for (int64_t k = 0; k < m_width; ++k) sums[k] += v * row[k];
  }
  for (int64_t k = 0; k < m_width; ++k) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < m_width; ++j) sum += inverse[k * m_width + j] * sums[j];
    z[static_cast<size_t>(k)] = sum;
  }
  const double* weights = z.data();
  for (int64_t i = 0; i < m_size; ++i) {
    const double* row = F + i * m_width;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < m_width; ++k) sum += row[k] * weights[k];
    y[i] = gaps[i] * (sum - x[i]);
  }
}

}  // namespace rankscope

#pragma once
// How far two updates of the same matrix go in the same directions: the principal angles between their column spaces
// (left) and row spaces (right). Of two runs, or of two checkpoints of one. Björck and Golub 1973.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/spectrum/site_spectrum.h"

namespace rankscope {

// Leading singular vectors of ΔW, those that carry something: left [out, j], right [in, j], j ≤ most. float64.
struct UpdateBasis {
  at::Tensor left, right;
};
UpdateBasis updateBasis(const MatrixChange& change, int64_t most);

// In radians, rising, 0 … π/2; as many as the smaller space has dimensions. X [d, a], Y [d, b] with orthonormal columns.
std::vector<double> principalAngles(const at::Tensor& X, const at::Tensor& Y);

// Mean of cos² over the angles: 1 where one space contains the other, about max(a, b)/d of random ones; 0 without angles.
double overlap(const std::vector<double>& angles);

}  // namespace rankscope

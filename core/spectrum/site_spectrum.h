#pragma once
// What an update did to one matrix: leading singular vectors against all of W0's, and the update's own spectrum.

#include <ATen/core/Tensor.h>

#include "core/runlog/spectrum_file.h"
#include "core/spectrum/base_svd.h"
#include "core/spectrum/leading_triplets.h"
#include "core/spectrum/low_rank_svd.h"

namespace rankscope {

struct SpectrumSettings {
  int64_t k = 64;               // leading vectors of W
  int64_t heatmapColumns = 64;  // leading vectors of W0 shown against them
  // The effective rank of W needs all its singular values: computed up to this shorter side. 0: never.
  int64_t allValuesUpTo = 1024;
  bool updateValues = true;  // the singular values of a full update, which cost a decomposition; of a low-rank one they are there
};

// A matrix as a run began with it, W0 [out, in], and what became of it, in the form that its update has.
struct MatrixChange {
  at::Tensor before;  // W0, any floating dtype; may be left out for a low-rank update without magnitudes
  // Low rank: W = W0 + scaling · B A, A [r, in], B [out, r]; with magnitudes [out] (DoRA) W = diag(m / ‖V‖_row) V of that V.
  at::Tensor A, B, magnitude;
  double scaling = 1;
  at::Tensor after;  // else W [out, in] itself
  // The adapter's factors, where A and B above are more than these (a start that was taken out of W0).
  at::Tensor ownA, ownB;

  bool lowRank() const { return A.defined(); }
  at::Tensor matrixAfter() const;  // W in float64; needs `before`
};

SiteSpectrum siteSpectrum(const BaseSvd& base, const MatrixChange& change, const SpectrumSettings& settings);

// W0 + ΔW in bases that begin with W0's vectors. Needs a ΔW that is not zero.
struct UpdatedMatrix {
  UpdatedDiagonal matrix;
  LowRankSvd update;
};
UpdatedMatrix updatedMatrix(const BaseSvd& base, LowRankSvd update);

// ‖U_jᵀ ΔW V_j‖² for j = 1, 2, … from the leading rows of UᵀB and VᵀAᵀ (ΔW = B A): P, Q [count, r] -> [count].
at::Tensor energyInside(const at::Tensor& P, const at::Tensor& Q);

// exp(−Σ p log p), p = σ / Σσ (Roy and Vetterli 2007); 0 for a zero matrix.
double effectiveRank(const at::Tensor& singularValues);

}  // namespace rankscope

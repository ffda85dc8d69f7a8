#pragma once
// What an update did to one matrix: leading singular vectors against all of W0's, and the update's own spectrum.

#include <ATen/core/Tensor.h>

#include "core/runlog/spectrum_file.h"
#include "core/spectrum/base_svd.h"

namespace rankscope {

struct SpectrumSettings {
  int64_t k = 64;             // leading vectors of W
  int64_t heatmapColumns = 64;  // leading vectors of W0 shown against them
};

// ΔW = scaling · B A, A [r, in], B [out, r].
SiteSpectrum lowRankSpectrum(const BaseSvd& base, const at::Tensor& A, const at::Tensor& B, double scaling,
                             const SpectrumSettings& settings);
// DoRA: W' = diag(m/‖V‖_row) V with V = W0 + scaling · B A and magnitudes m [out].
SiteSpectrum doraSpectrum(const BaseSvd& base, const at::Tensor& before, const at::Tensor& A, const at::Tensor& B,
                          double scaling, const at::Tensor& magnitude, const SpectrumSettings& settings);
// Any W [out, in] of the same shape (full fine-tuning, merged models).
SiteSpectrum fullSpectrum(const BaseSvd& base, const at::Tensor& before, const at::Tensor& after,
                          const SpectrumSettings& settings);

// exp(−Σ p log p), p = σ / Σσ (Roy and Vetterli 2007); 0 for a zero matrix.
double effectiveRank(const at::Tensor& singularValues);

}  // namespace rankscope

#pragma once
// What the update did to each matrix of a run at one step, as the `spectrum` command leaves it in the run's folder:
// spectra/step-00000120.json (one record a site) beside spectra/step-00000120.bin (float32 arrays, little-endian).
// Written by the trainer, read by ingest; plain types, so that both sides can see it without torch.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

// One matrix W = W0 + ΔW. "Left" vectors are those on the output side, as in the intruder paper.
struct SiteSpectrum {
  std::string site;  // "model.layers.0.self_attn.q_proj"
  std::string kind;  // "q_proj"
  int64_t layer = -1, outFeatures = 0, inFeatures = 0;
  int64_t rank = 0;  // of the adapter; 0 for a full update

  double relativeUpdate = 0;  // ‖ΔW‖_F / ‖W0‖_F
  double effectiveRank = 0;   // of ΔW: exp of the entropy of its normalised singular values (Roy and Vetterli)
  double effectiveRankBefore = 0, effectiveRankAfter = 0;  // of W0 and of W; 0: not computed
  double stableRank = 0;      // of ΔW: ‖ΔW‖_F² / ‖ΔW‖_2²
  double normA = 0, normB = 0, balanceGap = 0;  // ‖A‖_F, ‖B‖_F, ‖A Aᵀ − BᵀB‖_F; 0 for a full update
  double residualBound = 0;  // largest ‖Mᵀu − σv‖ / σ_1 over the triplets: how far the numbers can be trusted
  std::string algorithm;     // "lanczos" or "dense"

  std::vector<float> sigmaBefore;  // all singular values of W0, falling
  std::vector<float> sigmaAfter;   // the leading k of W
  std::vector<float> deltaSigma;   // non-zero singular values of ΔW, falling
  std::vector<float> maxCos;       // [k] largest |cos| of each leading left vector of W with any left vector of W0
  int64_t cosRows = 0, cosColumns = 0;
  std::vector<float> cos;  // [cosRows, cosColumns] |cos| of left vectors; row: vector of W, column: vector of W0
  std::vector<float> maxCosRight, cosRight;  // the same of right vectors
  // [j] share of ‖ΔW‖_F² between W0's j + 1 leading right and left vectors: ‖U_jᵀ ΔW V_j‖² / ‖ΔW‖². Of an update without
  // preference it would be about ((j + 1)/n)².
  std::vector<float> insideShare;

  // Vectors among the first `k` whose largest |cos| with any left vector of W0 is below eps (strictly).
  int64_t intruders(double eps, int64_t k) const;
};

struct RunSpectrum {
  int64_t step = 0;
  int64_t k = 0;        // leading vectors asked for
  double seconds = 0;   // what the computation took
  std::string created;  // ISO 8601, UTC
  bool live = false;    // probed while training; thinned when there are many
  std::vector<SiteSpectrum> sites;

  int64_t intruders(double eps, int64_t among) const;  // of all sites
};

// The JSON file's path in a run's folder.
std::filesystem::path spectrumFile(const std::filesystem::path& runFolder, int64_t step);
// Both files, the JSON last, each by rename: a reader sees all of it or nothing.
Result<void> writeSpectrum(const std::filesystem::path& runFolder, const RunSpectrum& spectrum);
// Checks sizes and offsets before reading; at most a gigabyte.
Result<RunSpectrum> readSpectrum(const std::filesystem::path& jsonFile);
// The JSON files of a run, by rising step.
std::vector<std::filesystem::path> listSpectra(const std::filesystem::path& runFolder);

}  // namespace rankscope

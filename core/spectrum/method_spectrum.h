#pragma once
// The spectra of all matrices that a method changed on a model, from the tensors in memory: what a run really started from
// (in the precision and format that it held) and what it made of it. Nothing is changed.

#include <functional>
#include <string>
#include <vector>

#include "core/methods/method.h"
#include "core/spectrum/site_spectrum.h"

namespace rankscope {

// In the order of Method::changedSites(). The tensors are the method's own, detached.
struct ChangedSite {
  const LinearSite* site = nullptr;
  FactorPair pair;      // without factors for a full update
  at::Tensor original;  // where the method keeps W0 beside what it changed
};
std::vector<ChangedSite> changedSitesOf(const Method& method);

// W0 as the run began with it: what its 4 bits stand for, or with a start that was taken out put back.
at::Tensor matrixBefore(const ChangedSite& changed);
MatrixChange matrixChange(const ChangedSite& changed, at::Tensor before);

// The decomposition of W0, from the cache or made now. Large ones are not kept in memory here: one matrix at a time.
// progress(done, total, site) before each matrix; false cancels (ErrorCode::Interrupted). An error when the method changes
// no matrix (prefixes, adapters between layers, biases).
Result<RunSpectrum> methodSpectrum(const Method& method, const std::filesystem::path& cache, const SpectrumSettings& settings,
                                   const std::function<bool(int64_t, int64_t, const std::string&)>& progress);

Error changesNoMatrix(const std::string& method);
// Names, layer and numbers of one site.
SiteSpectrum namedSpectrum(const LinearSite& site, SiteSpectrum spectrum);

}  // namespace rankscope

#include "core/spectrum/method_spectrum.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <map>

namespace rankscope {

std::vector<ChangedSite> changedSitesOf(const Method& method) {
  std::map<const LinearSite*, FactorPair> pairs;
  for (FactorPair& pair : method.factorPairs()) {
    for (at::Tensor* tensor : {&pair.A, &pair.B, &pair.startA, &pair.startB, &pair.magnitude})
      if (tensor->defined()) *tensor = tensor->detach();
    pairs[pair.site] = pair;
  }
  std::vector<ChangedSite> changed;
  for (const LinearSite* site : method.changedSites()) {
    const auto pair = pairs.find(site);
    const at::Tensor original = method.originalWeight(*site);
    changed.push_back({site, pair == pairs.end() ? FactorPair{} : pair->second, original.defined() ? original.detach() : original});
  }
  return changed;
}

at::Tensor matrixBefore(const ChangedSite& changed) {
  const LinearSite& site = *changed.site;
  const FactorPair& pair = changed.pair;
  if (site.coded.defined() && pair.startA.defined())
    return site.denseWeight().to(at::kDouble).addmm(pair.startB.to(at::kDouble), pair.startA.to(at::kDouble), 1, pair.scaling);
  return changed.original.defined() ? changed.original : site.denseWeight();
}

MatrixChange matrixChange(const ChangedSite& changed, at::Tensor before) {
  const FactorPair& pair = changed.pair;
  MatrixChange change;
  change.before = std::move(before);
  if (!pair.A.defined()) {
    change.after = changed.site->weight.detach();
    return change;
  }
  change.A = change.ownA = pair.A;
  change.B = change.ownB = pair.B;
  change.scaling = pair.scaling;
  change.magnitude = pair.magnitude;
  if (pair.startA.defined()) {
    change.A = at::cat({pair.A, pair.startA}, 0);
    change.B = at::cat({pair.B, -pair.startB}, 1);
  }
  return change;
}

SiteSpectrum namedSpectrum(const LinearSite& site, SiteSpectrum spectrum) {
  spectrum.site = site.name;
  spectrum.kind = site.kind;
  spectrum.layer = site.layer;
  return spectrum;
}

Error changesNoMatrix(const std::string& method) {
  return {ErrorCode::Usage, "this method changes no weight matrix", "method.name", method,
          "a method with an update of matrices: full, lora and its relatives",
          "Inserted modules, prefixes and biases have no spectrum to compare with the base model's."};
}

Result<RunSpectrum> methodSpectrum(const Method& method, const std::filesystem::path& cache, const SpectrumSettings& settings,
                                   const std::function<bool(int64_t, int64_t, const std::string&)>& progress) {
  const at::NoGradGuard noGrad;
  const auto started = std::chrono::steady_clock::now();
  const std::vector<ChangedSite> sites = changedSitesOf(method);
  if (sites.empty()) return changesNoMatrix(method.settings().name);
  RunSpectrum result;
  result.k = settings.k;
  const auto total = static_cast<int64_t>(sites.size());
  for (const ChangedSite& changed : sites) {
    const LinearSite& site = *changed.site;
    if (!progress(static_cast<int64_t>(result.sites.size()), total, site.name))
      return Error{ErrorCode::Interrupted, "the spectrum was cancelled", site.name, "", "", "Start it again when wanted."};
    const at::Tensor before = matrixBefore(changed);
    const BaseSvd base = cachedBaseSvd(before, cache);
    result.sites.push_back(namedSpectrum(site, siteSpectrum(base, matrixChange(changed, before), settings)));
  }
  progress(total, total, "");
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  result.created = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  return result;
}

}  // namespace rankscope

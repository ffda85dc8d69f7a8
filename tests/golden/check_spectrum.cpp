#include <charconv>

#include "core/io/safetensors.h"
#include "core/spectrum/leading_triplets.h"
#include "core/spectrum/site_spectrum.h"
#include "tests/golden/check.h"

namespace rankscope::golden {

namespace {

// "r4/eps0.6/k10"
struct Count {
  std::string change;
  double eps = 0;
  int64_t k = 0;
};
Count parsed(const std::string& key) {
  const size_t first = key.find('/'), second = key.find('/', first + 1);
  Count count;
  const auto part = [&](size_t from, size_t to, const char* mark, auto* value) {
    const std::string text = key.substr(from, to - from);
    const size_t begin = std::string(mark).size();
    const char* end = text.data() + text.size();
    if (text.rfind(mark, 0) != 0 || std::from_chars(text.data() + begin, end, *value).ptr != end)
      malformed("a count has no such name", key, "change/eps…/k…");
  };
  if (second == std::string::npos) malformed("a count has no such name", key, "change/eps…/k…");
  count.change = key.substr(0, first);
  part(first + 1, second, "eps", &count.eps);
  part(second + 1, key.size(), "k", &count.k);
  return count;
}

at::Tensor asTensor(const std::vector<float>& values, at::IntArrayRef shape) {
  return at::tensor(values, at::kFloat).to(at::kDouble).view(shape);
}

}  // namespace

NotBuilt checkSpectrum(const Case& golden, Findings& findings) {
  const auto base = SafetensorsFile::open(golden.modelFolder() / "model.safetensors");
  if (!base) throw ErrorException(base.error());
  std::map<std::string, RunSpectrum> byChange;
  std::vector<std::pair<Count, int64_t>> counts;
  for (const auto& [key, count] : golden.meta().at("counts").items()) counts.emplace_back(parsed(key), count.get<int64_t>());
  Tolerance tolerance;
  tolerance.absolute = golden.tolerance("abscos_atol", 1e-3);
  for (const auto& [wanted, expected] : counts) {
    RunSpectrum& spectrum = byChange[wanted.change];
    if (!spectrum.sites.empty()) continue;
    for (const std::string name : golden.meta().at("matrices")) {
      const auto before = (*base)->tensor(name);
      if (!before) throw ErrorException(before.error());
      MatrixChange change;
      change.before = *before;
      change.after = golden.get(wanted.change + "/" + name);
      const int64_t n = std::min(before->size(0), before->size(1));
      spectrum.sites.push_back(siteSpectrum(computeBaseSvd(*before), change, {.k = n, .heatmapColumns = n}));
      const SiteSpectrum& site = spectrum.sites.back();
      if (const std::string theirs = wanted.change + "/abscos/" + name; golden.has(theirs))
        findings.close(theirs, asTensor(site.cos, {site.cosRows, site.cosColumns}), golden.get(theirs), tolerance);
      if (const std::string theirs = wanted.change + "/effective_rank/" + name; golden.has(theirs))
        findings.close(theirs, at::full({1}, site.effectiveRank, at::kDouble), golden.get(theirs), tolerance);
    }
  }
  for (const auto& [wanted, expected] : counts)
    findings.equal(fmt::format("intruders of {} below {} among {}", wanted.change, wanted.eps, wanted.k),
                   byChange[wanted.change].intruders(wanted.eps, wanted.k), expected);
  return std::nullopt;
}

}  // namespace rankscope::golden

#include "ui/spectrum/spectrum_figures.h"

#include <QCoreApplication>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace rankscope::ui {
namespace {

QString tr(const char* text) { return QCoreApplication::translate("Spectrum", text); }

// "q_proj", or as many trailing parts as tell two matrices of one layer apart ("attention.output.dense").
std::vector<QString> kindLabels(const RunSpectrum& spectrum) {
  std::vector<QString> labels;
  for (const auto& site : spectrum.sites) labels.push_back(QString::fromStdString(site.kind));
  for (int parts = 2; parts <= 6; ++parts) {
    std::map<std::pair<int64_t, QString>, int> seen;
    for (size_t i = 0; i < labels.size(); ++i) ++seen[{spectrum.sites[i].layer, labels[i]}];
    std::set<QString> clashing;
    for (const auto& [key, count] : seen) {
      if (count > 1) clashing.insert(key.second);
    }
    if (clashing.empty()) break;
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto longer = QString::fromStdString(spectrum.sites[i].site).section('.', -parts);
      // A kind is the same in every layer: the layer's number is no part of it.
      if (clashing.contains(labels[i]) && !longer.isEmpty() && !longer[0].isDigit()) labels[i] = longer;
    }
  }
  return labels;
}

}  // namespace

const std::vector<float>& similarities(const SiteSpectrum& site, bool right) { return right ? site.maxCosRight : site.maxCos; }

int64_t intruderCount(const SiteSpectrum& site, const IntruderRule& rule) {
  const auto& similar = similarities(site, rule.right);
  const auto end = similar.begin() + std::min<std::ptrdiff_t>(rule.k, std::ssize(similar));
  return std::count_if(similar.begin(), end, [&](float value) { return static_cast<double>(value) < rule.eps; });
}

int64_t intruderCount(const RunSpectrum& spectrum, const IntruderRule& rule) {
  int64_t total = 0;
  for (const auto& site : spectrum.sites) total += intruderCount(site, rule);
  return total;
}

const std::vector<SpectrumMeasure>& spectrumMeasures() {
  using enum SpectrumMeasure;
  static const std::vector<SpectrumMeasure> all = {Intruders,    EffectiveRank, EffectiveRankAfter, StableRank,   RelativeUpdate,
                                                   SpectralNorm, InsideShare,   Balance,            LargestChange};
  return all;
}

QString measureTitle(SpectrumMeasure measure) {
  switch (measure) {
    case SpectrumMeasure::Intruders: return tr("Intruder dimensions");
    case SpectrumMeasure::EffectiveRank: return tr("Effective rank of ΔW");
    case SpectrumMeasure::EffectiveRankAfter: return tr("Effective rank of W");
    case SpectrumMeasure::StableRank: return tr("Stable rank of ΔW");
    case SpectrumMeasure::RelativeUpdate: return QStringLiteral("‖ΔW‖/‖W₀‖");
    case SpectrumMeasure::SpectralNorm: return tr("Spectral norm of ΔW");
    case SpectrumMeasure::InsideShare: return tr("Share of ΔW between W₀'s k leading vectors");
    case SpectrumMeasure::Balance: return tr("Balance gap ‖AAᵀ − BᵀB‖");
    case SpectrumMeasure::LargestChange: return tr("Least similar vector, 1 − |cos|");
  }
  return {};
}

double measureOf(const SiteSpectrum& site, SpectrumMeasure measure, const IntruderRule& rule) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  const auto among = [&](const std::vector<float>& values) {
    return std::min(static_cast<size_t>(std::max<int64_t>(rule.k, 0)), values.size());
  };
  switch (measure) {
    case SpectrumMeasure::Intruders: return static_cast<double>(intruderCount(site, rule));
    case SpectrumMeasure::EffectiveRank: return site.deltaSigma.empty() && site.rank == 0 ? none : site.effectiveRank;
    case SpectrumMeasure::EffectiveRankAfter: return site.effectiveRankAfter > 0 ? site.effectiveRankAfter : none;
    case SpectrumMeasure::StableRank: return site.deltaSigma.empty() && site.rank == 0 ? none : site.stableRank;
    case SpectrumMeasure::RelativeUpdate: return site.relativeUpdate;
    case SpectrumMeasure::SpectralNorm: return site.deltaSigma.empty() ? none : static_cast<double>(site.deltaSigma.front());
    case SpectrumMeasure::InsideShare: {
      const size_t count = among(site.insideShare);
      return count == 0 ? none : static_cast<double>(site.insideShare[count - 1]);
    }
    case SpectrumMeasure::Balance: return site.rank > 0 ? site.balanceGap : none;  // a full update has no factors
    case SpectrumMeasure::LargestChange: {
      const auto& similar = similarities(site, rule.right);
      const size_t count = among(similar);
      if (count == 0) return none;
      return 1 - static_cast<double>(*std::min_element(similar.begin(), similar.begin() + static_cast<std::ptrdiff_t>(count)));
    }
  }
  return none;
}

const SiteSpectrum* siteNamed(const RunSpectrum& spectrum, const std::string& name) {
  const auto found = std::find_if(spectrum.sites.begin(), spectrum.sites.end(), [&](const SiteSpectrum& site) { return site.site == name; });
  return found == spectrum.sites.end() ? nullptr : &*found;
}

void subtract(SpectrumGrid& grid, const RunSpectrum& spectrum, const RunSpectrum& other, SpectrumMeasure measure, const IntruderRule& rule) {
  for (size_t cell = 0; cell < grid.sites.size(); ++cell) {
    if (grid.sites[cell] < 0) continue;
    const SiteSpectrum* twin = siteNamed(other, spectrum.sites[static_cast<size_t>(grid.sites[cell])].site);
    grid.values[cell] -= twin ? static_cast<float>(measureOf(*twin, measure, rule)) : std::numeric_limits<float>::quiet_NaN();
  }
}

SpectrumGrid spectrumGrid(const RunSpectrum& spectrum, SpectrumMeasure measure, const IntruderRule& rule) {
  SpectrumGrid grid;
  const auto labels = kindLabels(spectrum);
  std::set<int64_t> layers;
  for (size_t i = 0; i < spectrum.sites.size(); ++i) {
    layers.insert(spectrum.sites[i].layer);
    if (!grid.kinds.contains(labels[i])) grid.kinds << labels[i];
  }
  std::map<int64_t, int> rowOf;
  for (const auto layer : layers) {
    rowOf[layer] = static_cast<int>(grid.layers.size());
    grid.layers << (layer < 0 ? tr("outside") : QString::number(layer));
  }
  const auto cells = static_cast<size_t>(grid.rows() * grid.columns());
  grid.values.assign(cells, std::numeric_limits<float>::quiet_NaN());
  grid.sites.assign(cells, -1);
  for (size_t i = 0; i < spectrum.sites.size(); ++i) {
    const auto at = static_cast<size_t>(rowOf[spectrum.sites[i].layer] * grid.columns() + grid.kinds.indexOf(labels[i]));
    grid.values[at] = static_cast<float>(measureOf(spectrum.sites[i], measure, rule));
    grid.sites[at] = static_cast<int>(i);
  }
  return grid;
}

Curve2 intrudersOverEps(const SiteSpectrum& site, const IntruderRule& rule) {
  const auto& all = similarities(site, rule.right);
  const auto count = std::min(static_cast<size_t>(std::max<int64_t>(rule.k, 0)), all.size());
  std::vector<double> similar(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
  std::sort(similar.begin(), similar.end());
  Curve2 curve{{0}, {0}};
  // A vector counts as soon as ε passes its largest |cos|.
  for (size_t i = 0; i < similar.size(); ++i) {
    const double at = std::clamp(similar[i], 0.0, 1.0);
    curve.x.insert(curve.x.end(), {at, at});
    curve.y.insert(curve.y.end(), {static_cast<double>(i), static_cast<double>(i + 1)});
  }
  curve.x.push_back(1);
  curve.y.push_back(static_cast<double>(similar.size()));
  return curve;
}

Curve2 intrudersOverK(const SiteSpectrum& site, const IntruderRule& rule) {
  Curve2 curve;
  double count = 0;
  const auto& similar = similarities(site, rule.right);
  for (size_t i = 0; i < similar.size(); ++i) {
    count += static_cast<double>(similar[i]) < rule.eps ? 1 : 0;
    curve.x.push_back(static_cast<double>(i + 1));
    curve.y.push_back(count);
  }
  return curve;
}

namespace {

template <typename Values>
Curve2 overTraining(const std::vector<std::shared_ptr<const RunSpectrum>>& course, const std::string& site, size_t j, const Values& valuesOf) {
  Curve2 curve;
  for (const auto& spectrum : course) {
    const SiteSpectrum* found = siteNamed(*spectrum, site);
    if (!found || valuesOf(*found).size() <= j) continue;
    curve.x.push_back(static_cast<double>(spectrum->step));
    curve.y.push_back(static_cast<double>(valuesOf(*found)[j]));
  }
  return curve;
}

}  // namespace

Curve2 similarityOverTraining(const std::vector<std::shared_ptr<const RunSpectrum>>& course, const std::string& site, size_t j, bool right) {
  return overTraining(course, site, j, [right](const SiteSpectrum& s) -> const std::vector<float>& { return similarities(s, right); });
}

Curve2 singularValueOverTraining(const std::vector<std::shared_ptr<const RunSpectrum>>& course, const std::string& site, size_t j) {
  return overTraining(course, site, j, [](const SiteSpectrum& s) -> const std::vector<float>& { return s.sigmaAfter; });
}

Curve2 indexed(const std::vector<float>& values, size_t limit) {
  Curve2 curve;
  for (size_t i = 0; i < std::min(limit, values.size()); ++i) {
    curve.x.push_back(static_cast<double>(i + 1));
    curve.y.push_back(values[i]);
  }
  return curve;
}

}  // namespace rankscope::ui

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

QString measureTitle(SpectrumMeasure measure) {
  switch (measure) {
    case SpectrumMeasure::Intruders: return tr("Intruder dimensions");
    case SpectrumMeasure::EffectiveRank: return tr("Effective rank of ΔW");
    case SpectrumMeasure::StableRank: return tr("Stable rank of ΔW");
    case SpectrumMeasure::RelativeUpdate: return QStringLiteral("‖ΔW‖/‖W₀‖");
    case SpectrumMeasure::Balance: return tr("Balance gap ‖AAᵀ − BᵀB‖");
    case SpectrumMeasure::LargestChange: return tr("Least similar vector, 1 − |cos|");
  }
  return {};
}

double measureOf(const SiteSpectrum& site, SpectrumMeasure measure, double eps, int64_t k) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  switch (measure) {
    case SpectrumMeasure::Intruders: return static_cast<double>(site.intruders(eps, k));
    case SpectrumMeasure::EffectiveRank: return site.effectiveRank;
    case SpectrumMeasure::StableRank: return site.stableRank;
    case SpectrumMeasure::RelativeUpdate: return site.relativeUpdate;
    case SpectrumMeasure::Balance: return site.rank > 0 ? site.balanceGap : none;  // a full update has no factors
    case SpectrumMeasure::LargestChange: {
      const auto count = std::min(static_cast<size_t>(std::max<int64_t>(k, 0)), site.maxCos.size());
      if (count == 0) return none;
      return 1 - *std::min_element(site.maxCos.begin(), site.maxCos.begin() + static_cast<std::ptrdiff_t>(count));
    }
  }
  return none;
}

SpectrumGrid spectrumGrid(const RunSpectrum& spectrum, SpectrumMeasure measure, double eps, int64_t k) {
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
    grid.values[at] = static_cast<float>(measureOf(spectrum.sites[i], measure, eps, k));
    grid.sites[at] = static_cast<int>(i);
  }
  return grid;
}

Curve2 intrudersOverEps(const SiteSpectrum& site, int64_t k) {
  const auto count = std::min(static_cast<size_t>(std::max<int64_t>(k, 0)), site.maxCos.size());
  std::vector<double> similar(site.maxCos.begin(), site.maxCos.begin() + static_cast<std::ptrdiff_t>(count));
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

Curve2 intrudersOverK(const SiteSpectrum& site, double eps) {
  Curve2 curve;
  double count = 0;
  for (size_t i = 0; i < site.maxCos.size(); ++i) {
    count += site.maxCos[i] < eps ? 1 : 0;
    curve.x.push_back(static_cast<double>(i + 1));
    curve.y.push_back(count);
  }
  return curve;
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

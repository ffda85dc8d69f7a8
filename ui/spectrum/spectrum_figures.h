#pragma once
// The figures that the spectrum view draws, from a run's stored spectrum: the grid of layers × kinds for a measure, and
// the curves of one matrix. Pure functions over core/runlog/spectrum_file.h; no Qt widgets.

#include <QString>
#include <QStringList>
#include <vector>

#include "core/runlog/spectrum_file.h"

namespace rankscope::ui {

enum class SpectrumMeasure { Intruders, EffectiveRank, StableRank, RelativeUpdate, Balance, LargestChange };
QString measureTitle(SpectrumMeasure measure);
double measureOf(const SiteSpectrum& site, SpectrumMeasure measure, double eps, int64_t k);

// Rows are layers from the input up, columns kinds in the order of the model; NaN where the run changed nothing.
struct SpectrumGrid {
  QStringList layers, kinds;
  std::vector<float> values;    // row-major
  std::vector<int> sites;       // index into RunSpectrum::sites or −1
  int rows() const { return static_cast<int>(layers.size()); }
  int columns() const { return static_cast<int>(kinds.size()); }
  int siteAt(int row, int column) const { return sites[static_cast<size_t>(row * columns() + column)]; }
};
SpectrumGrid spectrumGrid(const RunSpectrum& spectrum, SpectrumMeasure measure, double eps, int64_t k);

// Intruders among the first k for ε from 0 to 1: x is ε, y the count; exact, one step at every largest |cos|.
struct Curve2 {
  std::vector<double> x, y;
};
Curve2 intrudersOverEps(const SiteSpectrum& site, int64_t k);
Curve2 intrudersOverK(const SiteSpectrum& site, double eps);
Curve2 indexed(const std::vector<float>& values, size_t limit);  // x = 1, 2, …

}  // namespace rankscope::ui

#pragma once
// The figures that the spectrum view draws, from a run's stored spectrum: the grid of layers × kinds for a measure, and
// the curves of one matrix. Pure functions over core/runlog/spectrum_file.h; no Qt widgets.

#include <QString>
#include <QStringList>
#include <memory>
#include <string>
#include <vector>

#include "core/runlog/spectrum_file.h"

namespace rankscope::ui {

// What counts as an intruder: a vector among the k leading ones of one side whose largest |cos| is below ε.
struct IntruderRule {
  double eps = 0.5;
  int64_t k = 10;
  bool right = false;  // right singular vectors; the paper's are left ones
};
const std::vector<float>& similarities(const SiteSpectrum& site, bool right);
int64_t intruderCount(const SiteSpectrum& site, const IntruderRule& rule);
int64_t intruderCount(const RunSpectrum& spectrum, const IntruderRule& rule);

enum class SpectrumMeasure {
  Intruders, EffectiveRank, EffectiveRankAfter, StableRank, RelativeUpdate, SpectralNorm, InsideShare, Balance, LargestChange
};
const std::vector<SpectrumMeasure>& spectrumMeasures();
QString measureTitle(SpectrumMeasure measure);
// NaN where it was not measured.
double measureOf(const SiteSpectrum& site, SpectrumMeasure measure, const IntruderRule& rule);

// Rows are layers from the input up, columns kinds in the order of the model; NaN where the run changed nothing.
struct SpectrumGrid {
  QStringList layers, kinds;
  std::vector<float> values;    // row-major
  std::vector<int> sites;       // index into RunSpectrum::sites or −1
  int rows() const { return static_cast<int>(layers.size()); }
  int columns() const { return static_cast<int>(kinds.size()); }
  int siteAt(int row, int column) const { return sites[static_cast<size_t>(row * columns() + column)]; }
};
SpectrumGrid spectrumGrid(const RunSpectrum& spectrum, SpectrumMeasure measure, const IntruderRule& rule);
// The same cells with what the other run's matrix of the same name has less: NaN where one of them has none.
void subtract(SpectrumGrid& grid, const RunSpectrum& spectrum, const RunSpectrum& other, SpectrumMeasure measure, const IntruderRule& rule);
const SiteSpectrum* siteNamed(const RunSpectrum& spectrum, const std::string& name);  // null when it is not there

// Intruders among the first k for ε from 0 to 1: x is ε, y the count; exact, one step at every largest |cos|.
struct Curve2 {
  std::vector<double> x, y;
};
Curve2 intrudersOverEps(const SiteSpectrum& site, const IntruderRule& rule);
Curve2 intrudersOverK(const SiteSpectrum& site, const IntruderRule& rule);
// Of the j-th leading vector of a site (from 0) over a run's spectra: x is the step.
Curve2 similarityOverTraining(const std::vector<std::shared_ptr<const RunSpectrum>>& course, const std::string& site, size_t j, bool right);
Curve2 singularValueOverTraining(const std::vector<std::shared_ptr<const RunSpectrum>>& course, const std::string& site, size_t j);
Curve2 indexed(const std::vector<float>& values, size_t limit);  // x = 1, 2, …

}  // namespace rankscope::ui

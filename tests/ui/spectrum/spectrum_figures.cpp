#include <QtTest>
#include <cmath>

#include "ui/spectrum/spectrum_figures.h"

using namespace rankscope;
using namespace rankscope::ui;

namespace {

SiteSpectrum site(const std::string& name, const std::string& kind, int64_t layer, std::vector<float> maxCos) {
  SiteSpectrum s;
  s.site = name;
  s.kind = kind;
  s.layer = layer;
  s.rank = 4;
  s.maxCos = std::move(maxCos);
  s.relativeUpdate = 0.1;
  return s;
}

}  // namespace

class SpectrumFiguresTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void theGridHasHolesWhereNothingChanged() {
    RunSpectrum spectrum;
    spectrum.sites = {site("m.1.q_proj", "q_proj", 1, {0.2f, 0.9f}), site("m.0.q_proj", "q_proj", 0, {0.9f, 0.9f}),
                      site("m.1.up_proj", "up_proj", 1, {0.1f, 0.3f})};
    const auto grid = spectrumGrid(spectrum, SpectrumMeasure::Intruders, {0.5, 2});
    QCOMPARE(grid.layers, (QStringList{"0", "1"}));
    QCOMPARE(grid.kinds, (QStringList{"q_proj", "up_proj"}));
    QCOMPARE(grid.values[0], 0.0f);
    QVERIFY(std::isnan(grid.values[1]));
    QCOMPARE(grid.siteAt(0, 1), -1);
    QCOMPARE(grid.values[2], 1.0f);
    QCOMPARE(grid.values[3], 2.0f);
  }

  void equalKindsAreToldApartAlikeInEveryLayer() {
    RunSpectrum spectrum;
    for (int64_t layer = 0; layer < 2; ++layer) {
      const auto block = "encoder.layer." + std::to_string(layer);
      spectrum.sites.push_back(site(block + ".attention.output.dense", "dense", layer, {1}));
      spectrum.sites.push_back(site(block + ".output.dense", "dense", layer, {1}));
    }
    QCOMPARE(spectrumGrid(spectrum, SpectrumMeasure::RelativeUpdate, {0.5, 1}).columns(), 2);
  }

  // A vector counts strictly below ε, as in the paper; the curve agrees with the count at every ε.
  void intruderCurveAgreesWithTheCount() {
    const auto s = site("a", "q", 0, {0.3f, 0.9f, 0.3f, 0.55f});
    const auto curve = intrudersOverEps(s, {0.5, 4});
    QCOMPARE(curve.y.back(), 4.0);
    for (const double eps : {0.1, 0.31, 0.5, 0.56, 0.95}) {
      double count = 0;
      for (size_t i = 0; i < curve.x.size(); ++i) {
        if (curve.x[i] < eps) count = curve.y[i];
      }
      QCOMPARE(count, double(s.intruders(eps, 4)));
    }
    const auto overK = intrudersOverK(s, {0.5, 4});
    QCOMPARE(overK.y, (std::vector<double>{1, 1, 2, 2}));
  }

  void eachSideIsCountedByItself() {
    auto s = site("a", "q", 0, {0.3f, 0.9f, 0.9f});
    s.maxCosRight = {0.3f, 0.2f, 0.9f};
    QCOMPARE(intruderCount(s, {0.5, 3, false}), int64_t{1});
    QCOMPARE(intruderCount(s, {0.5, 3, true}), int64_t{2});
    QCOMPARE(intruderCount(s, {0.5, 1, true}), int64_t{1});
    QCOMPARE(intrudersOverK(s, {0.5, 3, true}).y, (std::vector<double>{1, 2, 2}));
    QVERIFY(std::abs(measureOf(s, SpectrumMeasure::LargestChange, {0.5, 3, true}) - 0.8) < 1e-6);
  }

  void whatWasNotMeasuredIsNoNumber() {
    auto s = site("a", "q", 0, {1});
    for (const SpectrumMeasure measure : {SpectrumMeasure::EffectiveRankAfter, SpectrumMeasure::SpectralNorm, SpectrumMeasure::InsideShare})
      QVERIFY(std::isnan(measureOf(s, measure, {0.5, 3})));
    s.effectiveRankAfter = 40;
    s.deltaSigma = {2, 1};
    s.insideShare = {0.1f, 0.25f};
    QCOMPARE(measureOf(s, SpectrumMeasure::EffectiveRankAfter, {}), 40.0);
    QCOMPARE(measureOf(s, SpectrumMeasure::SpectralNorm, {}), 2.0);
    QCOMPARE(measureOf(s, SpectrumMeasure::InsideShare, {0.5, 1}), double(0.1f));
    QCOMPARE(measureOf(s, SpectrumMeasure::InsideShare, {0.5, 9}), 0.25);
    for (const SpectrumMeasure measure : spectrumMeasures()) QVERIFY(!measureTitle(measure).isEmpty());
  }

  void aDifferenceIsOfMatricesThatBothHave() {
    RunSpectrum a, b;
    a.sites = {site("m.0.q", "q", 0, {0.1f, 0.1f}), site("m.0.v", "v", 0, {0.1f})};
    b.sites = {site("m.0.q", "q", 0, {0.9f, 0.1f})};
    auto grid = spectrumGrid(a, SpectrumMeasure::Intruders, {0.5, 2});
    subtract(grid, a, b, SpectrumMeasure::Intruders, {0.5, 2});
    QCOMPARE(grid.values[0], 1.0f);
    QVERIFY(std::isnan(grid.values[1]));
  }

  void aCourseLeavesOutStepsWithoutTheMatrix() {
    std::vector<std::shared_ptr<const RunSpectrum>> course;
    for (const int64_t step : {0, 10, 20}) {
      auto one = std::make_shared<RunSpectrum>();
      one->step = step;
      if (step != 10) one->sites = {site("a", "q", 0, {1.0f, 0.9f - 0.01f * static_cast<float>(step)})};
      course.push_back(one);
    }
    const auto curve = similarityOverTraining(course, "a", 1, false);
    QCOMPARE(curve.x, (std::vector<double>{0, 20}));
    QCOMPARE(curve.y.back(), double(0.9f - 0.01f * 20));
    QVERIFY(similarityOverTraining(course, "a", 2, false).x.empty());
  }

  void aFullUpdateHasNoBalance() {
    auto s = site("a", "q", 0, {1});
    s.rank = 0;
    QVERIFY(std::isnan(measureOf(s, SpectrumMeasure::Balance, {0.5, 1})));
    s.maxCos.clear();
    QVERIFY(std::isnan(measureOf(s, SpectrumMeasure::LargestChange, {0.5, 3})));
  }
};

QTEST_MAIN(SpectrumFiguresTest)
#include "spectrum_figures.moc"

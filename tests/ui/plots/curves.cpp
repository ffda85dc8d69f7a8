// Curves by pixel columns: nothing is lost, gaps stay gaps, panning computes only what is new, smoothing follows its formula.
#include <QtTest/QtTest>

#include <random>

#include "ui/plots/curve_raster.h"

using namespace rankscope::ui;

class CurvesTest : public QObject {
  Q_OBJECT

  static CurvePoints noise(size_t n, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(0, 1);
    CurvePoints p;
    for (size_t i = 0; i < n; ++i) {
      p.step.push_back(static_cast<double>(i));
      p.y.push_back(normal(random));
    }
    return p;
  }
  static RasterGrid grid(double from, double to, int columns = 700, int rows = 300) {
    RasterGrid g;
    g.columns = columns;
    g.rows = rows;
    g.scale = columns / (to - from);
    g.anchor = from;
    g.rowScale = -rows / 10.0;
    g.rowOffset = rows / 2.0;
    return g;
  }

 private Q_SLOTS:
  void treeEqualsBruteForceWhileGrowing() {
    std::mt19937 random(1);
    std::vector<double> values;
    MinMaxTree tree;
    for (int round = 0; round < 40; ++round) {
      for (int i = 0; i < 97; ++i)
        values.push_back(random() % 23 == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(random() % 100000));
      tree.grow(values);
      for (int k = 0; k < 60; ++k) {
        size_t a = random() % values.size(), b = random() % (values.size() + 1);
        if (a > b) std::swap(a, b);
        Extent expected;
        for (size_t i = a; i < b; ++i) expected.add(values[i]);
        const Extent found = tree.extent(values, a, b);
        QCOMPARE(found.lo, expected.lo);
        QCOMPARE(found.hi, expected.hi);
      }
    }
  }

  void everyPeakIsInItsColumn() {
    CurvePoints p = noise(100000, 2);
    p.y[31415] = 55;
    p.y[77777] = -66;
    CurveData data;
    data.set(p);
    const RasterGrid g = grid(0, 100000);
    ColumnExtents extents;
    extents.update(g, data.x(), data.y(), data.tree(), data.version());
    QCOMPARE(extents.hi()[static_cast<size_t>(31415 * g.scale)], 55.0);
    QCOMPARE(extents.lo()[static_cast<size_t>(77777 * g.scale)], -66.0);
    for (size_t c = 0; c < 700; ++c) {  // each column holds every one of its points
      const auto [begin, end] = data.indexRange(g.columnEdge(static_cast<qint64>(c)), std::nextafter(g.columnEdge(static_cast<qint64>(c) + 1), 0));
      for (size_t i = begin; i < end; ++i) QVERIFY(extents.lo()[c] <= p.y[i] && p.y[i] <= extents.hi()[c]);
    }
  }

  void panningEqualsDrawingAnew() {
    CurveData data;
    data.set(noise(50000, 3));
    RasterGrid g = grid(10000, 20000);
    ColumnExtents panned;
    panned.update(g, data.x(), data.y(), data.tree(), data.version());
    for (const int by : {9, 40, -120, 699, -3}) {
      g.firstColumn += by;
      panned.update(g, data.x(), data.y(), data.tree(), data.version());
      QCOMPARE(panned.computed(), std::abs(by));
      ColumnExtents fresh;
      fresh.update(g, data.x(), data.y(), data.tree(), data.version());
      for (size_t c = 0; c < 700; ++c) {
        QCOMPARE(panned.lo()[c], fresh.lo()[c]);
        QCOMPARE(panned.hi()[c], fresh.hi()[c]);
      }
    }
  }

  void notFiniteValuesAreGaps() {
    CurvePoints p = noise(1000, 4);
    for (size_t i = 400; i < 600; ++i) p.y[i] = std::numeric_limits<double>::quiet_NaN();
    CurveData data;
    data.set(p);
    const RasterGrid g = grid(0, 1000, 500);
    ColumnExtents extents;
    extents.update(g, data.x(), data.y(), data.tree(), data.version());
    QVERIFY(!std::isnan(extents.lo()[150]));
    for (size_t c = 205; c < 295; ++c) QVERIFY(std::isnan(extents.lo()[c]));
    QVERIFY(!std::isnan(extents.lo()[350]));
    const QImage image = rasterLines(g, {RasterLine{&extents.lo(), &extents.hi(), qRgb(200, 0, 0), 1.5}});
    for (int row = 0; row < image.height(); ++row) QCOMPARE(qAlpha(image.pixel(250, row)), 0);
  }

  void fewPointsAreJoinedByStraightLines() {
    CurvePoints p;
    p.step = {0, 100};
    p.y = {-1, 1};
    CurveData data;
    data.set(p);
    const RasterGrid g = grid(0, 100, 100);
    ColumnExtents extents;
    extents.update(g, data.x(), data.y(), data.tree(), data.version());
    for (size_t c = 0; c < 100; ++c) {
      QVERIFY(std::abs(extents.lo()[c] - (-1 + 0.02 * static_cast<double>(c))) < 1e-9);
      QVERIFY(std::abs(extents.hi()[c] - (-1 + 0.02 * static_cast<double>(c + 1))) < 1e-9);
    }
  }

  void logAxisLetsZeroRunOutOfThePlot() {
    CurvePoints p;
    p.step = {1, 10, 100, 1000};
    p.y = {1, 0.1, 0, 10};
    CurveData data;
    data.set(p);
    RasterGrid g = grid(0, 3, 300);
    g.logX = g.logY = true;
    ColumnExtents extents;
    extents.update(g, data.x(), data.y(), data.tree(), data.version());
    QVERIFY(std::abs(extents.hi()[50] - (-0.5)) < 0.02);  // the line in the logarithms of both
    QVERIFY(std::isnan(extents.hi()[250]));               // no logarithm of zero to start from
  }

  void smoothingIsBiasCorrectedAndGrows() {
    const CurvePoints all = noise(500, 5);
    CurveData data;
    CurvePoints head = all;
    head.step.resize(200);
    head.y.resize(200);
    data.set(head);
    data.setSmoothing(0.9);
    CurvePoints tail;
    tail.step.assign(all.step.begin() + 200, all.step.end());
    tail.y.assign(all.y.begin() + 200, all.y.end());
    data.append(tail);
    double s = 0, w = 1;
    for (size_t i = 0; i < 500; ++i) {
      s = 0.9 * s + 0.1 * all.y[i];
      w *= 0.9;
      QVERIFY(std::abs(data.smoothed()->y[i] - s / (1 - w)) < 1e-12);
    }
    QCOMPARE(data.smoothed()->y[0], all.y[0]);
  }

  void aDecreasingAxisIsMadeUsable() {
    CurvePoints p;
    p.step = {0, 5, 3, 8};
    p.y = {1, 2, 3, 4};
    CurveData data;
    data.set(p);
    QVERIFY(std::is_sorted(data.x().begin(), data.x().end()));
    data.setAxis(XAxis::Tokens);  // missing: falls back on steps
    QCOMPARE(data.x().size(), size_t{4});
    QCOMPARE(data.nearest(7.9).value(), size_t{3});
  }
};

QTEST_MAIN(CurvesTest)
#include "curves.moc"

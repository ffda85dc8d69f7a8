// The pyramid never hides or invents a value: every bucket is held against all points it names.

#include <random>

#include "core/store/database.h"
#include "core/store/series_rows.h"
#include "tests/core/store/store_fixture.h"

using namespace rankscope;

namespace {

struct Curve {
  std::vector<double> x, values;
};

Curve randomCurve(std::mt19937& random, int64_t count, bool gaps) {
  Curve curve;
  double x = 0;
  for (int64_t i = 0; i < count; ++i) {
    x += static_cast<double>(random() % 3);  // doubled positions too
    const double value =
        std::sin(x / 50) + static_cast<double>(random() % 1000) / 500 + (random() % 997 == 0 ? 100 : 0);
    curve.x.push_back(x);
    curve.values.push_back(gaps && random() % 5 == 0 ? std::nan("") : value);
  }
  return curve;
}

QString wrongValues(const std::vector<Bucket>& buckets, const Curve& curve);

// Empty text: the buckets are neighbours, exact, and hold every point of [x0, x1] and one beyond each end.
QString wrongIn(const std::vector<Bucket>& buckets, const Curve& curve, double x0, double x1) {
  const auto count = static_cast<int64_t>(curve.x.size());
  int64_t low = 0, high = count;
  while (low < count && curve.x[static_cast<size_t>(low)] < x0) ++low;
  while (high > 0 && curve.x[static_cast<size_t>(high - 1)] > x1) --high;
  if (buckets.empty()) return count == 0 ? QString() : QStringLiteral("no buckets");
  if (buckets.front().index > std::max<int64_t>(low - 1, 0)) return QStringLiteral("begins too late");
  if (buckets.back().index + buckets.back().count < std::min(high + 1, count)) return QStringLiteral("ends too early");
  return wrongValues(buckets, curve);
}

QString wrongValues(const std::vector<Bucket>& buckets, const Curve& curve) {
  int64_t next = buckets.front().index;
  for (const Bucket& bucket : buckets) {
    if (bucket.index != next) return QStringLiteral("a gap at %1").arg(next);
    next += bucket.count;
    Bucket truth;
    for (int64_t i = bucket.index; i < next; ++i) {
      const double value = curve.values[static_cast<size_t>(i)];
      if (!std::isfinite(value)) continue;
      if (truth.finite == 0) truth.first = truth.min = truth.max = value;
      truth.min = std::min(truth.min, value);
      truth.max = std::max(truth.max, value);
      truth.last = value;
      truth.sum += value;
      ++truth.finite;
    }
    const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    if (bucket.finite != truth.finite || !same(bucket.min, truth.min) || !same(bucket.max, truth.max) ||
        !same(bucket.first, truth.first) || !same(bucket.last, truth.last))
      return QStringLiteral("wrong values at %1, %2 points").arg(bucket.index).arg(bucket.count);
    if (std::abs(bucket.sum - truth.sum) > 1e-9 * (1 + std::abs(truth.sum)))
      return QStringLiteral("wrong sum at %1").arg(bucket.index);
    if (bucket.x0 != curve.x[static_cast<size_t>(bucket.index)] || bucket.x1 != curve.x[static_cast<size_t>(next - 1)])
      return QStringLiteral("wrong place at %1").arg(bucket.index);
  }
  return {};
}

}  // namespace

class StorePyramid : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void summaryIsExact();
  void rangeIsExact();
  void rangeOfPlainSizes();
  void storedRangeIsExact_data();
  void storedRangeIsExact();
  void storedSeriesComesBack();
};

void StorePyramid::summaryIsExact() {
  std::mt19937 random(1);
  const Curve curve = randomCurve(random, 5000, true);
  const SeriesPyramid pyramid(curve.x, curve.values);
  for (int trial = 0; trial < 500; ++trial) {
    const auto a = static_cast<int64_t>(random() % 5001), b = static_cast<int64_t>(random() % 5001);
    const Bucket all = pyramid.summary(std::min(a, b), std::max(a, b));
    if (a == b) {
      QCOMPARE(all.count, int64_t{0});
      continue;
    }
    QCOMPARE(all.count, std::abs(a - b));
    QCOMPARE(wrongValues({all}, curve), QString());
  }
}

void StorePyramid::rangeIsExact() {
  std::mt19937 random(2);
  for (const int64_t count : {0, 1, 2, 15, 16, 17, 255, 4097, 30000}) {
    const Curve curve = randomCurve(random, count, count % 2 == 1);
    const SeriesPyramid pyramid(curve.x, curve.values);
    const double last = curve.x.empty() ? 1 : curve.x.back();
    for (int trial = 0; trial < 60; ++trial) {
      double x0 = last * static_cast<double>(random() % 1200) / 1000 - 0.1 * last;
      double x1 = last * static_cast<double>(random() % 1200) / 1000 - 0.1 * last;
      if (x0 > x1) std::swap(x0, x1);
      const auto columns = static_cast<int64_t>(1 + random() % 1500);
      const std::vector<Bucket> buckets = pyramid.range(x0, x1, columns);
      QCOMPARE(wrongIn(buckets, curve, x0, x1), QString());
      QVERIFY(static_cast<int64_t>(buckets.size()) <= columns + 2);
    }
  }
}

void StorePyramid::rangeOfPlainSizes() {
  SeriesPyramid pyramid;
  QVERIFY(pyramid.range(0, 1, 10).empty());
  for (int i = 0; i < 100; ++i) pyramid.append(i, i);
  QVERIFY(pyramid.range(1, 0, 10).empty());
  const std::vector<Bucket> inside = pyramid.range(10, 19, 100);
  QCOMPARE(inside.size(), size_t{12});  // ten points and a neighbour on either side
  QCOMPARE(inside.front().x0, 9.0);
  QCOMPARE(inside.back().x0, 20.0);
  const std::vector<Bucket> whole = pyramid.range(0, 99, 10);
  QCOMPARE(whole.size(), size_t{10});
  QCOMPARE(whole.front().min, 0.0);
  QCOMPARE(whole.back().max, 99.0);
  QCOMPARE(whole.front().mean(), 4.5);
  pyramid.append(3, 7);  // a clock that went backwards
  QCOMPARE(pyramid.x().back(), 99.0);
}

void StorePyramid::storedRangeIsExact_data() {
  QTest::addColumn<int>("count");
  QTest::addColumn<int>("pieces");
  for (const int count : {1, 63, 64, 65, 511, 512, 4095, 4096, 4097, 9000, 70000})
    for (const int pieces : {1, 13}) QTest::addRow("%d points in %d pieces", count, pieces) << count << pieces;
}

void StorePyramid::storedRangeIsExact() {
  QFETCH(int, count);
  QFETCH(int, pieces);
  std::mt19937 random(static_cast<unsigned>(count));
  const Curve curve = randomCurve(random, count, true);
  TestHome home;
  const auto store = home.open();
  StoreDatabase& database = store->database();
  std::vector<SeriesPoint> points;
  for (size_t i = 0; i < curve.x.size(); ++i)
    points.push_back({static_cast<int64_t>(curve.x[i]), curve.x[i] / 7, static_cast<int64_t>(curve.x[i]) * 9,
                      curve.x[i] * 0.31, curve.values[i]});
  RS_OK(database.write("points are written", StoreDatabase::Durability::Derived, [&] {
    Query(database, "INSERT INTO runs (rid, uuid) VALUES (1, 'r')").run();
    size_t at = 0;
    for (int piece = 0; piece < pieces; ++piece) {
      SeriesWriter writer(database, 1);
      const size_t end =
          piece + 1 == pieces ? points.size() : at + (points.size() - at) / static_cast<size_t>(1 + random() % 4);
      writer.append("train/loss", {points.begin() + static_cast<std::ptrdiff_t>(at),
                                   points.begin() + static_cast<std::ptrdiff_t>(end)});
      at = end;
    }
  }));
  for (const Axis axis : {Axis::Step, Axis::Epoch, Axis::Tokens, Axis::Seconds}) {
    Curve along = curve;
    for (size_t i = 0; i < points.size(); ++i)
      along.x[i] = axis == Axis::Step     ? static_cast<double>(points[i].step)
                   : axis == Axis::Epoch  ? points[i].epoch
                   : axis == Axis::Tokens ? static_cast<double>(points[i].tokens)
                                          : points[i].seconds;
    for (int trial = 0; trial < 12; ++trial) {
      const double last = along.x.back();
      double x0 = trial == 0 ? 0 : last * static_cast<double>(random() % 1100) / 1000;
      double x1 = trial == 0 ? last : last * static_cast<double>(random() % 1100) / 1000;
      if (x0 > x1) std::swap(x0, x1);
      const int64_t columns = trial == 0 ? 1400 : static_cast<int64_t>(1 + random() % 2000);
      Result<SeriesRange> range = store->readSeriesRange("r", "train/loss", x0, x1, columns, axis);
      RS_OK(range);
      QCOMPARE(range->total, static_cast<int64_t>(count));
      QCOMPARE(wrongIn(range->buckets, along, x0, x1), QString());
      QVERIFY(static_cast<int64_t>(range->buckets.size()) <= columns + 2);
    }
  }
}

void StorePyramid::storedSeriesComesBack() {
  TestHome home;
  const auto store = home.open();
  StoreDatabase& database = store->database();
  std::mt19937_64 random(5);
  std::vector<SeriesPoint> points;
  for (int64_t i = 0; i < 5000; ++i)
    points.push_back(
        {i * 3, static_cast<double>(random()), i, static_cast<double>(i) / 3, static_cast<double>(random()) * 1e-3});
  RS_OK(database.write("points are written", StoreDatabase::Durability::Derived, [&] {
    Query(database, "INSERT INTO runs (rid, uuid) VALUES (1, 'r')").run();
    SeriesWriter(database, 1).append("a", points);
    SeriesWriter(database, 1).append("b", points);
  }));
  for (const int64_t from : {int64_t{0}, int64_t{1}, int64_t{4096}, int64_t{4990}, int64_t{5000}, int64_t{9999}}) {
    Result<Series> series = store->readSeriesFrom("r", "b", from);
    RS_OK(series);
    QCOMPARE(series->size(), static_cast<size_t>(std::max<int64_t>(5000 - from, 0)));
    for (size_t i = 0; i < series->size(); ++i) {
      const SeriesPoint& point = points[static_cast<size_t>(from) + i];
      QVERIFY(series->steps[i] == point.step && series->epochs[i] == point.epoch && series->tokens[i] == point.tokens &&
              series->seconds[i] == point.seconds && series->values[i] == point.value);
    }
  }
  // Both were logged at the same points, so the axis is kept once.
  Result<int64_t> shared = database.read("count", [&]() -> Result<int64_t> {
    Query query(database, "SELECT COUNT(*) FROM axis_blocks WHERE refs = 2");
    return query.step() ? query.integer(0) : -1;
  });
  RS_OK(shared);
  QCOMPARE(*shared, int64_t{1 + 1 + 6});  // 4096 + 512 + 6 × 64, and 8 in the tail
  QVERIFY(!store->readSeries("r", "none").ok());
}

QTEST_GUILESS_MAIN(StorePyramid)
#include "store_pyramid.moc"

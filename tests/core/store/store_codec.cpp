// Packed columns come back bit for bit; damaged ones are refused without harm. Student's t against printed tables.

#include <bit>
#include <random>

#include "core/store/codec.h"
#include "core/store/sql_functions.h"
#include "tests/core/store/store_fixture.h"

using namespace rankscope;

class StoreCodec : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void realsComeBack();
  void singlePrecisionIsSmall();
  void wholeNumbersComeBack();
  void damageIsRefused();
  void studentTable();
  void groupNumbers();
  void naturalOrder();
  void folding();
  void directions();
};

void StoreCodec::realsComeBack() {
  std::mt19937_64 random(3);
  const std::vector<double> special = {0.0, -0.0, 1.0 / 3.0, 1e308, -1e-308, 5e-324, std::nan(""), INFINITY, -INFINITY};
  for (const size_t count : {size_t{0}, size_t{1}, size_t{64}, size_t{4096}}) {
    std::vector<double> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = i < special.size() ? special[i] : std::bit_cast<double>(random());
    for (const auto& packed : {packReals(values), packClock(values)}) {
      const std::vector<double> back = unpackReals(packed, count);
      QCOMPARE(back.size(), count);
      for (size_t i = 0; i < count; ++i) QCOMPARE(std::bit_cast<uint64_t>(back[i]), std::bit_cast<uint64_t>(values[i]));
    }
  }
}

void StoreCodec::singlePrecisionIsSmall() {
  std::vector<double> values(4096);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<double>(static_cast<float>(2 + std::sin(static_cast<double>(i) / 9)));
  const std::string packed = packReals(values);
  QVERIFY2(packed.size() < 4096 * 4, qPrintable(QString::number(packed.size())));
  QVERIFY(unpackReals(packed, values.size()) == values);
}

void StoreCodec::wholeNumbersComeBack() {
  std::vector<int64_t> values = {0, -1, INT64_MAX, INT64_MIN, 7, 7, 8};
  for (int64_t i = 0; i < 4000; ++i) values.push_back(i * 10);
  const std::string packed = packIntegers(values);
  QVERIFY(unpackIntegers(packed, values.size()) == values);
  QVERIFY(packed.size() < 400);
}

void StoreCodec::damageIsRefused() {
  std::mt19937 random(4);
  std::vector<double> values(200);
  for (double& value : values) value = static_cast<double>(random());
  const std::string good = joinColumns({packReals(values), packIntegers({1, 2, 3})});
  const auto read = [](const std::string& bytes) {
    const auto columns = splitColumns(bytes, 2);
    (void)unpackReals(columns[0], 200);
    (void)unpackIntegers(columns[1], 3);
  };
  read(good);
  QVERIFY_EXCEPTION_THROWN(read(""), ErrorException);
  QVERIFY_EXCEPTION_THROWN(read(good + "x"), ErrorException);
  QVERIFY_EXCEPTION_THROWN((void)unpackReals(packReals(values), 201), ErrorException);
  for (int trial = 0; trial < 3000; ++trial) {
    std::string bad = good;
    if (trial % 3 == 0) bad.resize(random() % bad.size());
    for (unsigned k = 0; k <= random() % 4 && !bad.empty(); ++k)
      bad[random() % bad.size()] = static_cast<char>(random());
    try {
      read(bad);  // a changed value may go unnoticed here; the file has checks of its own
    } catch (const ErrorException& failure) {
      QVERIFY(!failure.error().hint.empty());
    }
  }
}

void StoreCodec::studentTable() {
  const struct {
    double p, degrees, t;
  } table[] = {{0.975, 1, 12.7062},  {0.975, 2, 4.30265},   {0.975, 4, 2.77645},
               {0.975, 9, 2.26216},  {0.975, 30, 2.04227},  {0.95, 5, 2.01505},
               {0.995, 10, 3.16927}, {0.975, 1e6, 1.95996}, {0.9, 3, 1.63774}};
  for (const auto& row : table) {
    QVERIFY2(std::abs(studentQuantile(row.p, row.degrees) - row.t) < 2e-5 * row.t,
             qPrintable(QString::number(studentQuantile(row.p, row.degrees), 'g', 10)));
    QCOMPARE(studentQuantile(1 - row.p, row.degrees), -studentQuantile(1 - (1 - row.p), row.degrees));
  }
  QCOMPARE(studentQuantile(0.5, 7), 0.0);
  QVERIFY(std::isnan(studentQuantile(1, 7)) && std::isnan(studentQuantile(0.9, 0)));
}

void StoreCodec::groupNumbers() {
  const GroupStatistic three = groupStatistic({88.0, 90.0, 92.0, std::nan("")});
  QCOMPARE(three.n, int64_t{3});
  QCOMPARE(three.mean, 90.0);
  QCOMPARE(three.sd, 2.0);
  QVERIFY(std::abs(three.high - 90 - 4.968275) < 1e-5 && std::abs(90 - three.low - 4.968275) < 1e-5);
  QCOMPARE(three.min, 88.0);
  QCOMPARE(three.max, 92.0);
  const GroupStatistic one = groupStatistic({5.0});
  QVERIFY(one.mean == 5 && std::isnan(one.sd) && std::isnan(one.low));
  QCOMPARE(groupStatistic({}).n, int64_t{0});
}

void StoreCodec::naturalOrder() {
  QVERIFY(compareNatural("run-2", "run-10") < 0);
  QVERIFY(compareNatural("Run-2", "run-10") < 0);
  QVERIFY(compareNatural("a", "b") < 0 && compareNatural("b", "a") > 0 && compareNatural("a", "a") == 0);
  QVERIFY(compareNatural("a1", "a01") != 0);
  QVERIFY(compareNatural("a", "a1") < 0);
  // A total order, or SQLite's sorter would be led astray.
  std::mt19937 random(6);
  std::vector<std::string> texts;
  for (int i = 0; i < 60; ++i) {
    std::string text;
    for (unsigned k = 0; k < random() % 6; ++k) text += "aA019-b"[random() % 7];
    texts.push_back(text);
  }
  for (const auto& a : texts)
    for (const auto& b : texts) {
      QVERIFY((compareNatural(a, b) < 0) == (compareNatural(b, a) > 0));
      for (const auto& c : texts)
        if (compareNatural(a, b) < 0 && compareNatural(b, c) < 0) QVERIFY(compareNatural(a, c) < 0);
    }
}

void StoreCodec::folding() {
  QCOMPARE(foldText("ReFLoRA"), std::string("reflora"));
  QCOMPARE(foldText("ÄÖ Straße"), foldText("äö STRASSE"));
  QVERIFY(checkRegex("a(b|c)+").ok());
  QVERIFY(!checkRegex("a(b").ok());
}

void StoreCodec::directions() {
  QVERIFY(betterDirection("eval/loss") == Better::Lower && betterDirection("train/loss") == Better::Lower);
  QVERIFY(betterDirection("eval/accuracy") == Better::Higher && betterDirection("eval/matthews") == Better::Higher);
  QVERIFY(betterDirection("eval/perplexity") == Better::Lower && betterDirection("memory/peak") == Better::Lower);
  QVERIFY(betterDirection("factors/norm_A") == Better::Neither &&
          betterDirection("train/learning_rate") == Better::Neither);
  QVERIFY(betterDirection("train/tokens_per_second") == Better::Higher);
}

QTEST_GUILESS_MAIN(StoreCodec)
#include "store_codec.moc"

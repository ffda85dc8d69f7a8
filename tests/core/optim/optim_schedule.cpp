// Schedules against values of Hugging Face's formulas worked out by hand.

#include <QtTest/QtTest>

#include <cmath>

#include "core/optim/schedule.h"

using namespace rankscope;

class OptimSchedule : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void linear() {
    const Schedule s{Schedule::Kind::Linear, 10, 110};
    QCOMPARE(s.factor(0), 0.0);
    QCOMPARE(s.factor(5), 0.5);
    QCOMPARE(s.factor(10), 1.0);
    QCOMPARE(s.factor(60), 0.5);
    QCOMPARE(s.factor(109), 0.01);
    QCOMPARE(s.factor(110), 0.0);
    QCOMPARE(s.factor(500), 0.0);
  }
  void cosine() {
    const Schedule s{Schedule::Kind::Cosine, 4, 104};
    QCOMPARE(s.factor(1), 0.25);
    QCOMPARE(s.factor(4), 1.0);
    QVERIFY(std::abs(s.factor(54) - 0.5) < 1e-15);
    QVERIFY(std::abs(s.factor(29) - 0.5 * (1 + std::sqrt(0.5))) < 1e-15);
    QVERIFY(std::abs(s.factor(104)) < 1e-15);
  }
  void constant() {
    const Schedule plain{Schedule::Kind::Constant, 0, 10};
    QCOMPARE(plain.factor(0), 1.0);
    QCOMPARE(plain.factor(1000), 1.0);
    const Schedule warmed{Schedule::Kind::Constant, 4, 10};
    QCOMPARE(warmed.factor(0), 0.0);
    QCOMPARE(warmed.factor(3), 0.75);
    QCOMPARE(warmed.factor(4), 1.0);
  }
  void warmupLongerThanTheRun() {
    const Schedule s{Schedule::Kind::Linear, 100, 10};
    QCOMPARE(s.factor(9), 0.09);
  }
  void warmupByRatioIsRoundedUp() {
    QCOMPARE(makeSchedule("linear", 0, 0.03, 101)->warmupSteps, int64_t{4});
    QCOMPARE(makeSchedule("linear", 7, 0.5, 101)->warmupSteps, int64_t{7});
    QCOMPARE(makeSchedule("cosine", 0, 0, 101)->warmupSteps, int64_t{0});
  }
  void mistakes_data() {
    QTest::addColumn<QString>("kind");
    QTest::addColumn<int>("warmup");
    QTest::addColumn<double>("ratio");
    QTest::addColumn<int>("total");
    QTest::addColumn<QString>("where");
    QTest::newRow("name") << "wobbly" << 0 << 0.0 << 10 << "optim.schedule";
    QTest::newRow("no steps") << "linear" << 0 << 0.0 << 0 << "train.max_steps";
    QTest::newRow("negative") << "linear" << -1 << 0.0 << 10 << "optim.warmup_steps";
    QTest::newRow("ratio") << "linear" << 0 << 1.5 << 10 << "optim.warmup_ratio";
    QTest::newRow("ratio not a number") << "linear" << 0 << std::nan("") << 10 << "optim.warmup_ratio";
  }
  void mistakes() {
    QFETCH(QString, kind);
    QFETCH(int, warmup);
    QFETCH(double, ratio);
    QFETCH(int, total);
    QFETCH(QString, where);
    auto made = makeSchedule(kind.toStdString(), warmup, ratio, total);
    QVERIFY(!made.ok());
    QCOMPARE(made.error().where, where.toStdString());
    QVERIFY(!made.error().hint.empty());
  }
};

QTEST_GUILESS_MAIN(OptimSchedule)
#include "optim_schedule.moc"

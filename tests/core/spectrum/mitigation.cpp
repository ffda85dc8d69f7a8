// Scaling intruders down: what PEFT's reduce_intruder_dimension computes by full decompositions, from the factors alone.

#include <ATen/CPUGeneratorImpl.h>

#include <QtTest/QtTest>

#include "core/spectrum/mitigation.h"
#include "tests/methods/family_training.h"

using namespace rankscope;
using namespace rankscope::testing;

namespace {

at::Tensor normal(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::TensorOptions(at::kDouble));
}

struct Given {
  at::Tensor W0;
  MatrixChange change;
};

// A strong rank-4 update on a matrix with a falling spectrum: some of its directions are intruders.
Given given(int64_t out, int64_t in, uint64_t seed, double size) {
  const auto [U, S, Vh] = at::linalg_svd(normal({out, in}, seed), false);
  Given made;
  made.W0 = (U * (5 * at::arange(1, S.size(0) + 1, at::kDouble).pow(-0.5))).mm(Vh);
  made.change.A = normal({4, in}, seed + 1) / std::sqrt(static_cast<double>(in));
  made.change.B = normal({out, 4}, seed + 2) / std::sqrt(static_cast<double>(out)) * size;
  made.change.scaling = 2;
  return made;
}

// ΔW' without its scaling, by the published steps.
at::Tensor published(const Given& given, int64_t top, double eps, double lambda, int64_t rank, int64_t* count) {
  const at::Tensor merged = given.W0 + given.change.B.mm(given.change.A) * given.change.scaling;
  const at::Tensor base = std::get<0>(at::linalg_svd(given.W0, false));
  const auto [U, S, Vh] = at::linalg_svd(merged, false);
  const at::Tensor largest = std::get<0>(U.t().mm(base).abs().max(1)).narrow(0, 0, top);
  const at::Tensor places = (largest < eps).nonzero().flatten();
  *count = places.size(0);
  at::Tensor update = merged - given.W0;
  if (*count > 0)
    update = update + (lambda - 1) * (U.index_select(1, places) * S.index_select(0, places)).mm(Vh.index_select(0, places));
  const auto [u, s, vh] = at::linalg_svd(update / given.change.scaling, false);
  return (u.narrow(1, 0, rank) * s.narrow(0, 0, rank)).mm(vh.narrow(0, 0, rank));
}

}  // namespace

class MitigationTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void isThePublishedOne_data() {
    QTest::addColumn<int>("out");
    QTest::addColumn<int>("in");
    QTest::addColumn<double>("size");
    for (const double size : {0.05, 2.0, 8.0}) {
      QTest::newRow(qPrintable(QString("square %1").arg(size))) << 96 << 96 << size;
      QTest::newRow(qPrintable(QString("tall %1").arg(size))) << 130 << 80 << size;
      QTest::newRow(qPrintable(QString("wide %1").arg(size))) << 80 << 130 << size;
    }
  }
  void isThePublishedOne() {
    QFETCH(int, out);
    QFETCH(int, in);
    QFETCH(double, size);
    const Given made = given(out, in, 3, size);
    const BaseSvd base = computeBaseSvd(made.W0);
    const Intruders intruders = findIntruders(base, made.change, 10, 0.5);
    for (const double lambda : {0.0, 0.5, 0.75, 1.3}) {
      int64_t count = 0;
      const at::Tensor expected = published(made, 10, 0.5, lambda, 4, &count);
      QCOMPARE(intruders.count(), count);
      QCOMPARE(count > 0, size > 1);
      const MitigatedFactors factors = mitigate(made.change, intruders, lambda, 4);
      QVERIFY((factors.B.mm(factors.A) - expected).norm().item<double>() < 1e-8 * expected.norm().item<double>() + 1e-12);
      QCOMPARE(factors.A.size(0), int64_t{4});
      if (count > 0) QVERIFY(at::allclose(factors.A.mm(factors.A.t()), factors.B.t().mm(factors.B), 1e-6, 1e-9));
      QVERIFY(factors.lost >= -1e-12 && factors.lost < 1);
    }
  }

  void atOneNothingChanges() {
    const Given made = given(90, 90, 8, 4);
    const Intruders intruders = findIntruders(computeBaseSvd(made.W0), made.change, 10, 0.5);
    QVERIFY(intruders.count() > 0);
    const MitigatedFactors same = mitigate(made.change, intruders, 1, 4);
    QVERIFY(at::equal(same.A, made.change.A) && at::equal(same.B, made.change.B));
    // Without room for it the truncated update is the best of that rank.
    const MitigatedFactors less = mitigate(made.change, intruders, 1, 2);
    QCOMPARE(less.A.size(0), int64_t{2});
    QVERIFY(less.lost > 0);
  }

  void zeroUpdateHasNoIntruders() {
    Given made = given(70, 90, 8, 4);
    made.change.B.zero_();
    const Intruders intruders = findIntruders(computeBaseSvd(made.W0), made.change, 10, 1.0);
    QCOMPARE(intruders.count(), int64_t{0});
    QVERIFY(at::equal(mitigate(made.change, intruders, 0, 4).B, made.change.B));
  }

  // Written into a method's factors, the model computes with them; and back.
  void changesTheModelAndBack() {
    MethodSettings settings = settingsOf("lora", nlohmann::json::object());
    settings.targetModules = {"all-linear"};
    Training training(encoder("bert"), settings, at::kFloat);
    training.run(0, 2);
    {
      const at::NoGradGuard noGrad;
      for (const FactorPair& pair : training.method->factorPairs()) pair.B.mul_(200);
    }
    const at::Tensor trained = training.logits();
    const auto mitigation = Mitigation::make(*training.method, {}, 3, 0.6, [](int64_t, int64_t, const std::string&) { return true; });
    QVERIFY2(mitigation.ok(), mitigation ? "" : mitigation.error().message().c_str());
    QVERIFY(mitigation->intruders() > 0);
    mitigation->write(0.25);
    QVERIFY(!at::allclose(training.logits(), trained, 1e-3, 1e-3));
    mitigation->write(1);
    QVERIFY(at::equal(training.logits(), trained));
    mitigation->writeZero();
    const auto plain = randomModel(encoder("bert"), HeadKind::SequenceClassification);
    const at::NoGradGuard noGrad;
    ForwardContext context;
    for (const std::string& name : plain->headParameters())  // the trained head stays
      plain->parameters().at(name).copy_(training.model->parameters().at(name));
    QVERIFY(at::allclose(training.logits(), plain->logits(training.batch(), context), 1e-5, 1e-5));
  }

  void onlyPlainFactors_data() {
    QTest::addColumn<QString>("method");
    for (const char* method : {"dora", "adalora", "pissa", "full", "prefix"}) QTest::newRow(method) << method;
  }
  void onlyPlainFactors() {
    QFETCH(QString, method);
    MethodSettings settings = settingsOf(method.toStdString(), nlohmann::json::object());
    if (method != "full" && method != "prefix") settings.targetModules = {"query"};
    const Training training(encoder("bert"), settings, at::kFloat);
    const auto mitigation = Mitigation::make(*training.method, {}, 10, 0.5, [](int64_t, int64_t, const std::string&) { return true; });
    QVERIFY(!mitigation.ok() && !mitigation.error().hint.empty());
  }
};

QTEST_GUILESS_MAIN(MitigationTest)
#include "mitigation.moc"

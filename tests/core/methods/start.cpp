// Starts are functions of (seed, name, position) and have the distributions of METHODS 2.

#include <QtTest/QtTest>

#include <ATen/Parallel.h>

#include <cmath>

#include "core/methods/seeded_start.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

TensorMap startOf(const std::vector<std::string>& targets, uint64_t seed) {
  FakeModel model;
  MethodSettings s;
  s.targetModules = targets;
  s.seed = seed;
  const auto method = attached(model, s);
  TensorMap out;
  for (const auto& pair : method->factorPairs()) out[pair.site->name] = pair.A.detach().clone();
  return out;
}

}  // namespace

class Start : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void otherSitesAndThreadsChangeNothing() {
    const auto alone = startOf({"q_proj"}, 5);
    const int threads = at::get_num_threads();
    at::set_num_threads(2);
    const auto together = startOf({"all-linear"}, 5);
    at::set_num_threads(threads);
    for (const auto& [name, a] : alone) QVERIFY(at::equal(a, together.at(name)));
  }

  void seedsAndSitesDiffer() {
    const auto one = startOf({"q_proj"}, 5), two = startOf({"q_proj"}, 6);
    const auto& first = one.begin()->second;
    QVERIFY(!at::equal(first, two.begin()->second));
    QVERIFY(!at::equal(first, one.rbegin()->second));
  }

  void distributions() {
    at::Tensor uniform = at::empty({200, 400}), normal = at::empty({200, 400});
    fillKaimingUniform(uniform, 1, "a");
    const double bound = 1 / std::sqrt(400.0);
    QVERIFY(uniform.abs().max().item<double>() <= bound);
    QVERIFY(uniform.abs().max().item<double>() > 0.999 * bound);
    QVERIFY(std::abs(uniform.mean().item<double>()) < 4 * bound / std::sqrt(3.0 * 80000));
    QVERIFY(std::abs(uniform.std().item<double>() / (bound / std::sqrt(3.0)) - 1) < 0.01);
    fillNormal(normal, 0.25, 1, "a");
    QVERIFY(std::abs(normal.std().item<double>() / 0.25 - 1) < 0.01);
    QVERIFY(std::abs(normal.mean().item<double>()) < 4 * 0.25 / std::sqrt(80000.0));
    QVERIFY(std::abs((normal / 0.25).pow(4).mean().item<double>() - 3) < 0.1);
  }

  void theGaussianStart() {
    FakeModel model;
    MethodSettings s;
    s.targetModules = {"all-linear"};
    s.rank = 16;
    s.options["init"] = "gaussian";
    const auto method = attached(model, s);
    std::vector<at::Tensor> all;
    for (const auto& pair : method->factorPairs()) {
      all.push_back(pair.A.detach().reshape(-1));
      QVERIFY(pair.B.detach().eq(0).all().item<bool>());
    }
    QVERIFY(std::abs(at::cat(all).std().item<double>() * 16 - 1) < 0.1);
  }
};

QTEST_GUILESS_MAIN(Start)
#include "start.moc"

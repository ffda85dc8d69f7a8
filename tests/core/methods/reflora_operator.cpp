// The batched RefLoRA operator against its plain form and against the equations that define it.

#include <QtTest/QtTest>

#include <ATen/Parallel.h>

#include <cmath>
#include <limits>

#include "kernels/cuda/reflora_body.cuh"
#include "kernels/reflora_ops.h"

using namespace rankscope::kernels;

namespace {

constexpr double kEps64 = std::numeric_limits<double>::epsilon();
constexpr double kEps32 = std::numeric_limits<float>::epsilon();

struct Pairs {
  std::vector<at::Tensor> a, b, gradA, gradB;
};

at::Tensor wave(at::IntArrayRef shape, double phase) {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  const at::Tensor i = at::arange(count, at::kDouble);
  return (at::sin(i * 12.9898 + phase) * 43758.5453).frac().reshape(shape);
}

// Ranks, shapes and sizes of factors as a model mixes them; more pairs than one chunk holds.
Pairs somePairs(at::ScalarType dtype, double sizeB = 0.3) {
  Pairs p;
  const std::vector<std::array<int64_t, 3>> shapes{{8, 64, 48}, {4, 30, 70}, {8, 48, 64}, {1, 9, 7}, {16, 40, 90}};
  for (int64_t k = 0; k < 23; ++k) {
    const auto [r, in, out] = shapes[static_cast<size_t>(k) % shapes.size()];
    const auto phase = static_cast<double>(k);
    p.a.push_back(wave({r, in}, phase).to(dtype));
    p.b.push_back((wave({out, r}, phase + 0.5) * sizeB).to(dtype));
    p.gradA.push_back(wave({r, in}, phase + 1).to(dtype));
    p.gradB.push_back(wave({out, r}, phase + 2).to(dtype));
  }
  return p;
}

Pairs copyOf(const Pairs& p) {
  Pairs out;
  for (auto [from, to] : {std::pair{&p.a, &out.a}, std::pair{&p.b, &out.b}, std::pair{&p.gradA, &out.gradA},
                          std::pair{&p.gradB, &out.gradB}})
    for (const auto& t : *from) to->push_back(t.clone());
  return out;
}

double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).to(at::kDouble).norm() / b.to(at::kDouble).norm()).item<double>();
}

}  // namespace

class RefLoraOperator : public QObject {
  Q_OBJECT

 private:
  // What the CUDA kernel does, with each phase run for every thread in turn, last thread first: a phase that read what
  // another thread writes in it would show.
  template <typename T>
  void gpuBody(int threads, double eps, double tolerance) {
    const auto dtype = c10::CppTypeToScalarType<T>::value;
    Pairs p = somePairs(dtype);
    Pairs expected = copyOf(p);
    refloraPrecondition(expected.a, expected.b, expected.gradA, expected.gradB, eps);
    auto phase = [threads](auto body) {
      for (int64_t t = threads - 1; t >= 0; --t) body(reflora::Lane{t, threads});
    };
    for (size_t i = 0; i < p.a.size(); ++i) {
      const int64_t r = p.a[i].size(0), in = p.a[i].size(1), out = p.b[i].size(0);
      std::vector<double> scratch(static_cast<size_t>(reflora::workspaceSize(r)), std::nan(""));
      const reflora::Workspace w = reflora::workspaceAt(scratch.data(), r);
      reflora::computeMetric(phase, p.a[i].const_data_ptr<T>(), p.b[i].const_data_ptr<T>(), r, in, out, eps, w);
      at::Tensor newA = at::full_like(p.gradA[i], std::nan("")), newB = at::full_like(p.gradB[i], std::nan(""));
      phase([&](reflora::Lane lane) {
        reflora::apply(lane, w.m, w.t, r, in, out, p.gradA[i].const_data_ptr<T>(), p.gradB[i].const_data_ptr<T>(),
                       newA.mutable_data_ptr<T>(), newB.mutable_data_ptr<T>());
      });
      QVERIFY2(relative(newA, expected.gradA[i]) < tolerance,
               fmt::format("pair {}: {}", i, relative(newA, expected.gradA[i])).c_str());
      QVERIFY2(relative(newB, expected.gradB[i]) < tolerance,
               fmt::format("pair {}: {}", i, relative(newB, expected.gradB[i])).c_str());
    }
  }

 private Q_SLOTS:
  void solvesItsEquation() {
    const Pairs p = somePairs(at::kDouble);
    const RefLoraMetric m = refloraMetric(p.a, p.b, kEps64);
    for (size_t i = 0; i < p.a.size(); ++i) {
      const at::Tensor gramA = p.a[i].mm(p.a[i].t()), gramB = p.b[i].t().mm(p.b[i]);
      QVERIFY(relative(m.s[i].mm(gramA).mm(m.s[i]), gramB) < 1e-9);
      QVERIFY(relative(m.s[i].mm(m.sInverse[i]), at::eye(gramA.size(0), at::kDouble)) < 1e-9);
      QVERIFY(relative(m.s[i].t(), m.s[i]) < 1e-12);
      QVERIFY(std::get<0>(at::linalg_eigh(m.s[i])).min().item<double>() > 0);
    }
  }

  void equalsThePlainForm_data() {
    QTest::addColumn<bool>("wide");
    QTest::addColumn<double>("tolerance");
    QTest::newRow("float64") << true << 1e-9;
    QTest::newRow("float32") << false << 2e-3;  // the plain form runs in float32, which costs half of its digits
  }
  void equalsThePlainForm() {
    QFETCH(bool, wide);
    QFETCH(double, tolerance);
    const auto dtype = wide ? at::kDouble : at::kFloat;
    const double eps = wide ? kEps64 : kEps32;
    Pairs ours = somePairs(dtype), plain = copyOf(ours);
    refloraPrecondition(ours.a, ours.b, ours.gradA, ours.gradB, eps);
    reference::refloraPrecondition(plain.a, plain.b, plain.gradA, plain.gradB, eps);
    for (size_t i = 0; i < ours.a.size(); ++i) {
      QVERIFY2(relative(ours.gradA[i], plain.gradA[i]) < tolerance,
               fmt::format("pair {}: {}", i, relative(ours.gradA[i], plain.gradA[i])).c_str());
      QVERIFY2(relative(ours.gradB[i], plain.gradB[i]) < tolerance,
               fmt::format("pair {}: {}", i, relative(ours.gradB[i], plain.gradB[i])).c_str());
    }
  }

  void float32FactorsLoseNothingInside() {
    // The same float32 factors, worked in float64 throughout by the plain form.
    Pairs ours = somePairs(at::kFloat);
    Pairs wide;
    for (size_t i = 0; i < ours.a.size(); ++i) {
      wide.a.push_back(ours.a[i].to(at::kDouble));
      wide.b.push_back(ours.b[i].to(at::kDouble));
    }
    const RefLoraMetric got = refloraMetric(ours.a, ours.b, kEps32),
                        want = reference::refloraMetric(wide.a, wide.b, kEps32);
    for (size_t i = 0; i < ours.a.size(); ++i) QVERIFY(relative(got.s[i], want.s[i].to(at::kFloat)) < 1e-6);
  }

  void singularFactorsStayFinite() {
    for (double sizeB : {0.0, 1e-30, 1e-12}) {
      Pairs p = somePairs(at::kFloat, sizeB);
      for (auto& b : p.b) b.select(1, 0).zero_();  // and one direction missing altogether
      refloraPrecondition(p.a, p.b, p.gradA, p.gradB, kEps32);
      for (const auto& g : p.gradA) QVERIFY(g.isfinite().all().item<bool>());
      for (const auto& g : p.gradB) QVERIFY(g.isfinite().all().item<bool>());
    }
  }

  void threadsAndCompanyDoNotChangeTheBits() {
    const int threads = at::get_num_threads();
    const Pairs start = somePairs(at::kFloat);
    std::vector<Pairs> runs;
    for (int n : {1, 2}) {
      at::set_num_threads(n);
      runs.push_back(copyOf(start));
      refloraPrecondition(runs.back().a, runs.back().b, runs.back().gradA, runs.back().gradB, kEps32);
    }
    at::set_num_threads(threads);
    for (size_t i = 0; i < start.a.size(); ++i) {
      QVERIFY(at::equal(runs[0].gradA[i], runs[1].gradA[i]));
      QVERIFY(at::equal(runs[0].gradB[i], runs[1].gradB[i]));
    }
  }

  void leavesThatRequireGradientsAreNotRecorded() {
    Pairs p = somePairs(at::kFloat);
    for (auto& a : p.a) a.requires_grad_(true);
    for (auto& b : p.b) b.requires_grad_(true);
    refloraPrecondition(p.a, p.b, p.gradA, p.gradB, kEps32);
    for (const auto& g : p.gradA) QVERIFY(!g.requires_grad());
  }

  void theGpuBodyThreadByThread_data() {
    QTest::addColumn<int>("threads");
    QTest::addColumn<bool>("wide");
    for (int threads : {1, 7, 32, 256})
      for (bool wide : {false, true})
        QTest::addRow("%d threads %s", threads, wide ? "float64" : "float32") << threads << wide;
  }
  void theGpuBodyThreadByThread() {
    QFETCH(int, threads);
    QFETCH(bool, wide);
    wide ? gpuBody<double>(threads, kEps64, 1e-9) : gpuBody<float>(threads, kEps32, 1e-5);
  }

  void shapesThatDoNotFitAreRefused() {
    Pairs p = somePairs(at::kFloat);
    auto refused = [](const Pairs& q) {
      try {
        refloraPrecondition(q.a, q.b, q.gradA, q.gradB, kEps32);
      } catch (const c10::Error&) {
        return true;
      }
      return false;
    };
    Pairs fewer = copyOf(p);
    fewer.b.pop_back();
    QVERIFY(refused(fewer));
    Pairs rank = copyOf(p);
    rank.b[2] = at::ones({5, 3});
    QVERIFY(refused(rank));
    Pairs dtype = copyOf(p);
    dtype.gradA[1] = dtype.gradA[1].to(at::kDouble);
    QVERIFY(refused(dtype));
    Pairs half = copyOf(p);
    half.a[0] = half.a[0].to(at::kBFloat16);
    QVERIFY(refused(half));
    refloraPrecondition({}, {}, {}, {}, kEps32);
  }
};

QTEST_GUILESS_MAIN(RefLoraOperator)
#include "reflora_operator.moc"

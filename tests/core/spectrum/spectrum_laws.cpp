// What spectra of updates must obey whatever the matrix: the fast way is the full SVD's, rotations do not matter, and
// directions that were put in are counted.

#include <ATen/CPUGeneratorImpl.h>

#include <QtTest/QtTest>

#include "core/spectrum/leading_triplets.h"
#include "core/spectrum/principal_angles.h"
#include "core/spectrum/site_spectrum.h"

using namespace rankscope;

namespace {

class Draw {
 public:
  explicit Draw(uint64_t seed) : m_generator(at::make_generator<at::CPUGeneratorImpl>(seed)) {}
  at::Tensor normal(at::IntArrayRef shape) { return at::randn(shape, m_generator, at::TensorOptions(at::kDouble)); }
  at::Tensor orthonormal(int64_t rows, int64_t columns) { return std::get<0>(at::linalg_qr(normal({rows, columns}))); }
  double uniform(double low, double high) {
    return low + (high - low) * at::rand({1}, m_generator, at::TensorOptions(at::kDouble)).item<double>();
  }
  int64_t integer(int64_t low, int64_t high) { return low + static_cast<int64_t>(uniform(0, 1) * static_cast<double>(high - low + 1)); }
  // Singular values that fall as those of trained weights do: a few large ones, then a power law, then a drop.
  at::Tensor spectrum(int64_t n) {
    const at::Tensor place = at::arange(1, n + 1, at::kDouble);
    const double power = uniform(0.15, 0.8), drop = uniform(0, 0.95);
    at::Tensor sigma = uniform(0.5, 6) * place.pow(-power) * (1 - drop * place / static_cast<double>(n));
    sigma.narrow(0, 0, 3).mul_(at::tensor({uniform(1, 6), uniform(1, 3), uniform(1, 2)}, at::kDouble));
    return std::get<0>(sigma.sort(0, true));
  }

 private:
  at::Generator m_generator;
};

struct Updated {
  BaseSvd base;
  MatrixChange change;
  at::Tensor before() const { return (base.U * base.S).mm(base.V.t()); }
};

Updated randomCase(uint64_t seed) {
  Draw draw(seed);
  const int64_t out = draw.integer(72, 260), in = draw.integer(72, 260), n = std::min(out, in), r = draw.integer(1, 16);
  Updated updated{{draw.orthonormal(out, n), draw.spectrum(n), draw.orthonormal(in, n)}, {}};
  updated.change.A = draw.normal({r, in}) / std::sqrt(static_cast<double>(in));
  updated.change.B = draw.normal({out, r}) / std::sqrt(static_cast<double>(out)) * std::pow(10, draw.uniform(-2, 1.5));
  updated.change.scaling = draw.uniform(0.5, 4);
  return updated;
}

// Largest |cos| with W0's left vectors of each of W's k leading ones, by two full decompositions.
at::Tensor naive(const at::Tensor& before, const at::Tensor& after, int64_t k) {
  const at::Tensor U0 = std::get<0>(at::linalg_svd(before, false)), U = std::get<0>(at::linalg_svd(after, false));
  return std::get<0>(U.narrow(1, 0, k).t().mm(U0).abs().max(1));
}

}  // namespace

class SpectrumLaws : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void twoHundredRandomCases() {
    constexpr int64_t k = 10;
    for (uint64_t seed = 0; seed < 200; ++seed) {
      Updated updated = randomCase(seed);
      const at::Tensor before = updated.before();
      updated.change.before = before;
      const at::Tensor after = updated.change.matrixAfter(), exact = naive(before, after, k);
      const SiteSpectrum fast = siteSpectrum(updated.base, updated.change, {.k = k});
      MatrixChange whole;
      whole.before = before;
      whole.after = after;
      const SiteSpectrum slow = siteSpectrum(updated.base, whole, {.k = k, .updateValues = false});
      QVERIFY2(fast.residualBound < 1e-9 && slow.residualBound < 1e-9, qPrintable(QString::number(seed)));
      for (const SiteSpectrum& found : {fast, slow})
        for (int64_t i = 0; i < k; ++i) {
          const double difference = std::abs(static_cast<double>(found.maxCos[static_cast<size_t>(i)]) - exact[i].item<double>());
          QVERIFY2(difference < 1e-6, qPrintable(QString("case %1, vector %2: %3").arg(seed).arg(i).arg(difference)));
        }
      for (const double eps : {0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9})
        for (const int64_t among : {3, 10}) {
          const auto count = (exact.narrow(0, 0, among) < eps).sum().item<int64_t>();
          QCOMPARE(fast.intruders(eps, among), count);
          QCOMPARE(slow.intruders(eps, among), count);
        }
    }
  }

  void rotationsLeaveCountsAsTheyAre() {
    for (uint64_t seed = 300; seed < 310; ++seed) {
      const Updated updated = randomCase(seed);
      Draw draw(seed);
      const int64_t out = updated.base.U.size(0), in = updated.base.V.size(0);
      const at::Tensor Q = draw.orthonormal(out, out), R = draw.orthonormal(in, in);
      Updated turned = updated;
      turned.base = computeBaseSvd(Q.mm(updated.before()).mm(R.t()));
      turned.change.B = Q.mm(updated.change.B);
      turned.change.A = updated.change.A.mm(R.t());
      const SiteSpectrum a = siteSpectrum(updated.base, updated.change, {.k = 10}), b = siteSpectrum(turned.base, turned.change, {.k = 10});
      for (const double eps : {0.3, 0.5, 0.7, 0.9}) QCOMPARE(a.intruders(eps, 10), b.intruders(eps, 10));
      QVERIFY(std::abs(a.effectiveRank - b.effectiveRank) < 1e-9 * a.effectiveRank);
      QVERIFY(std::abs(a.effectiveRankAfter - b.effectiveRankAfter) < 1e-8 * a.effectiveRankAfter);
      for (size_t j = 0; j < a.insideShare.size(); ++j) QVERIFY(std::abs(a.insideShare[j] - b.insideShare[j]) < 1e-5f);
    }
  }

  // Directions as far from each of W0's vectors as can be, stronger than all of these: as many intruders, no more.
  void newDirectionsAreCounted_data() {
    QTest::addColumn<int>("count");
    for (const int count : {1, 2, 5, 9}) QTest::newRow(qPrintable(QString::number(count))) << count;
  }
  void newDirectionsAreCounted() {
    QFETCH(int, count);
    Draw draw(7);
    const int64_t d = 128;
    const BaseSvd base{draw.orthonormal(d, d), draw.spectrum(d), draw.orthonormal(d, d)};
    // Columns of a Hadamard matrix: every component ±1/√128.
    at::Tensor hadamard = at::ones({1, 1}, at::kDouble);
    while (hadamard.size(0) < d) hadamard = at::cat({at::cat({hadamard, hadamard}, 1), at::cat({hadamard, -hadamard}, 1)}, 0);
    hadamard = hadamard / std::sqrt(static_cast<double>(d));
    MatrixChange change;
    change.B = base.U.mm(hadamard.narrow(1, 3, count)) * base.S[0] * at::arange(count + 3, 3, -1, at::kDouble);
    change.A = base.V.mm(hadamard.narrow(1, 40, count)).t();
    const SiteSpectrum site = siteSpectrum(base, change, {.k = 10});
    QCOMPARE(site.intruders(0.5, 10), int64_t{count});
    for (int i = 0; i < count; ++i) QVERIFY(site.maxCos[static_cast<size_t>(i)] < 0.3f);
    QVERIFY(std::abs(site.effectiveRank - effectiveRank(at::arange(count + 3, 3, -1, at::kDouble))) < 1e-9);
  }

  // Only the update lives where a rank-deficient W0 has nothing: its directions are whatever basis the SVD chose there, but
  // values, residuals and the vectors that W0 does have are determined.
  void rankDeficientBase() {
    Draw draw(11);
    const int64_t out = 140, in = 100, rank = 30, k = 12;
    const at::Tensor W0 = draw.normal({out, rank}).mm(draw.normal({rank, in}));
    MatrixChange change;
    change.A = draw.normal({4, in}) * 0.1;
    change.B = draw.normal({out, 4}) * 0.1;
    const SiteSpectrum site = siteSpectrum(computeBaseSvd(W0), change, {.k = k});
    const at::Tensor exact = at::linalg_svdvals(W0 + change.B.mm(change.A));
    QVERIFY(site.residualBound < 1e-9);
    for (int64_t i = 0; i < k; ++i)
      QVERIFY(std::abs(static_cast<double>(site.sigmaAfter[static_cast<size_t>(i)]) - exact[i].item<double>()) < 1e-6 * exact[0].item<double>());
    QCOMPARE(site.intruders(0.5, 10), int64_t{0});
  }

  void decompositionsInSinglePrecisionDo() {
    for (uint64_t seed = 400; seed < 420; ++seed) {
      const Updated updated = randomCase(seed);
      const BaseSvd single{updated.base.U.to(at::kFloat), updated.base.S.to(at::kFloat), updated.base.V.to(at::kFloat)};
      const SiteSpectrum a = siteSpectrum(updated.base, updated.change, {.k = 10}), b = siteSpectrum(single, updated.change, {.k = 10});
      for (size_t i = 0; i < 10; ++i) QVERIFY(std::abs(a.maxCos[i] - b.maxCos[i]) < 2e-5f);
    }
  }

  void principalAnglesAreThoseOfRotatedSpaces() {
    Draw draw(5);
    const at::Tensor basis = draw.orthonormal(60, 6), turn = draw.orthonormal(3, 3);
    const std::vector<double> wanted{1e-9, 0.3, 1.5};
    at::Tensor turned = at::empty({60, 3}, at::kDouble);
    for (int64_t i = 0; i < 3; ++i) {
      const double angle = wanted[static_cast<size_t>(i)];
      turned.select(1, i).copy_(basis.select(1, i) * std::cos(angle) + basis.select(1, i + 3) * std::sin(angle));
    }
    const auto found = principalAngles(basis.narrow(1, 0, 3), turned.mm(turn));
    QCOMPARE(found.size(), size_t{3});
    for (size_t i = 0; i < 3; ++i)
      QVERIFY2(std::abs(found[i] - wanted[i]) < 1e-12 + 1e-6 * wanted[i], qPrintable(QString::number(found[i])));
    QVERIFY(std::abs(overlap(principalAngles(basis, turned)) - 1) < 1e-12);  // contained in the larger space
    QVERIFY(overlap(principalAngles(basis, draw.orthonormal(60, 0))) == 0);
  }

  void basesOfUpdatesAreTheirVectors() {
    Draw draw(6);
    MatrixChange low;
    low.before = draw.normal({200, 230});
    low.A = draw.normal({5, 230});
    low.B = draw.normal({200, 5});
    low.scaling = 0.5;
    MatrixChange whole;
    whole.before = low.before;
    whole.after = low.matrixAfter();
    const UpdateBasis a = updateBasis(low, 8), b = updateBasis(whole, 5);
    QCOMPARE(a.left.size(1), int64_t{5});
    QVERIFY(principalAngles(a.left, b.left).back() < 1e-7);
    QVERIFY(principalAngles(a.right, b.right).back() < 1e-7);
    low.B.zero_();
    QCOMPARE(updateBasis(low, 8).left.size(1), int64_t{0});
  }

  void restsOfASpectrumThatHardlyFalls() {
    // A flat spectrum is what Lanczos likes least: it may give up, the answer may not be wrong.
    Draw draw(21);
    const at::Tensor W = draw.normal({240, 240});
    const at::Tensor none = at::empty({240, 0}, at::kDouble);
    const LeadingTriplets found = leadingTriplets(W, none, none, 10);
    const at::Tensor exact = at::linalg_svdvals(W);
    QVERIFY((found.sigma - exact.narrow(0, 0, 10)).abs().max().item<double>() < 1e-9 * exact[0].item<double>());
    QVERIFY(found.residual < 1e-9);
  }
};

QTEST_APPLESS_MAIN(SpectrumLaws)
#include "spectrum_laws.moc"

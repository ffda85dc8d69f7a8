// Spectra of low-rank and full updates against LAPACK's SVD of the assembled matrix, and the intruder paper's counts.

#include <QtTest/QtTest>
#include <fstream>

#include "core/spectrum/leading_triplets.h"
#include "core/spectrum/site_spectrum.h"

using namespace rankscope;

namespace {

at::Tensor randomMatrix(int64_t rows, int64_t columns, uint64_t seed, double decay) {
  at::manual_seed(seed);
  const at::Tensor W = at::randn({rows, columns}, at::kDouble);
  if (decay == 0) return W;
  const auto [U, S, Vh] = at::linalg_svd(W, false);
  return (U * at::exp(-decay * at::arange(S.size(0), at::kDouble))).matmul(Vh);
}

SiteSpectrum lowRankSpectrum(const BaseSvd& base, const at::Tensor& A, const at::Tensor& B, double scaling,
                             const SpectrumSettings& settings) {
  MatrixChange change;
  change.A = A;
  change.B = B;
  change.scaling = scaling;
  return siteSpectrum(base, change, settings);
}

// By LAPACK's full decomposition alone.
SiteSpectrum fullSpectrum(const BaseSvd& base, const at::Tensor& before, const at::Tensor& after, SpectrumSettings settings) {
  MatrixChange change;
  change.before = before;
  change.after = after;
  const SiteSpectrum result = siteSpectrum(base, change, settings);
  const LeadingTriplets dense = leadingTripletsDense(after, settings.k);
  const at::Tensor cosines = dense.left.matmul(base.U).abs();
  const at::Tensor largest = std::get<0>(cosines.max(1));
  // The block Lanczos that a whole matrix goes through meets it.
  for (int64_t i = 0; i < largest.size(0); ++i)
    if (std::abs(largest[i].item<double>() - static_cast<double>(result.maxCos[static_cast<size_t>(i)])) > 1e-6) qFatal("cosine %lld", static_cast<long long>(i));
  return result;
}

}  // namespace

class TestSpectrum : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void lowRankEqualsFullSvd_data() {
    QTest::addColumn<int>("out");
    QTest::addColumn<int>("in");
    QTest::addColumn<int>("rank");
    QTest::addColumn<double>("decay");
    QTest::addColumn<double>("size");
    for (const double decay : {0.0, 0.02})
      for (const double size : {1e-6, 1e-2, 1.0, 30.0}) {
        const auto name = [&](const char* shape) { return QByteArray(shape) + QByteArray::number(decay) + " " + QByteArray::number(size); };
        QTest::newRow(name("square ")) << 160 << 160 << 4 << decay << size;
        QTest::newRow(name("tall ")) << 240 << 130 << 3 << decay << size;
        QTest::newRow(name("wide ")) << 130 << 240 << 8 << decay << size;
        QTest::newRow(name("rank one ")) << 150 << 150 << 1 << decay << size;
        QTest::newRow(name("large rank ")) << 64 << 64 << 30 << decay << size;
      }
  }
  void lowRankEqualsFullSvd() {
    QFETCH(int, out);
    QFETCH(int, in);
    QFETCH(int, rank);
    QFETCH(double, decay);
    QFETCH(double, size);
    const at::Tensor W0 = randomMatrix(out, in, 3, decay);
    const at::Tensor A = randomMatrix(rank, in, 4, 0) / std::sqrt(double(in));
    const at::Tensor B = randomMatrix(out, rank, 5, 0) * size;
    const BaseSvd base = computeBaseSvd(W0);
    const SpectrumSettings settings{.k = 12, .heatmapColumns = 20};
    const SiteSpectrum fast = lowRankSpectrum(base, A, B, 2.0, settings);
    const SiteSpectrum full = fullSpectrum(base, W0, W0 + 2.0 * B.matmul(A), settings);
    const double top = full.sigmaAfter.front();
    QVERIFY2(fast.residualBound < 1e-9, qPrintable(QString::number(fast.residualBound)));
    if (4 * rank <= std::min(out, in)) QCOMPARE(QString::fromStdString(fast.algorithm), QString("lanczos"));
    for (size_t i = 0; i < full.sigmaAfter.size(); ++i)
      QVERIFY2(std::abs(fast.sigmaAfter[i] - full.sigmaAfter[i]) < 1e-6 * top, "singular value");
    for (size_t i = 0; i < full.maxCos.size(); ++i)
      QVERIFY2(std::abs(fast.maxCos[i] - full.maxCos[i]) < 1e-5, "largest cosine");
    QCOMPARE(fast.cosRows, full.cosRows);
    QCOMPARE(fast.cosColumns, int64_t{20});
    for (size_t i = 0; i < full.cos.size(); ++i) QVERIFY(std::abs(fast.cos[i] - full.cos[i]) < 2e-5);
    for (size_t i = 0; i < full.cosRight.size(); ++i) QVERIFY(std::abs(fast.cosRight[i] - full.cosRight[i]) < 2e-5);
    for (size_t i = 0; i < full.maxCosRight.size(); ++i) QVERIFY(std::abs(fast.maxCosRight[i] - full.maxCosRight[i]) < 1e-5);
    QCOMPARE(fast.insideShare.size(), size_t{20});
    for (size_t i = 0; i < 20; ++i) QVERIFY(std::abs(fast.insideShare[i] - full.insideShare[i]) < 1e-5);
    QVERIFY(std::abs(fast.effectiveRankAfter - full.effectiveRankAfter) < 1e-6 * full.effectiveRankAfter);
    QVERIFY(std::abs(fast.effectiveRank - full.effectiveRank) < 1e-2 * full.effectiveRank + 1e-2);
    QVERIFY(std::abs(fast.relativeUpdate - full.relativeUpdate) < 1e-6 * full.relativeUpdate + 1e-12);
  }

  void singularValuesToWorkingPrecision() {
    const at::Tensor d = at::exp(-0.01 * at::arange(300, at::kDouble));
    const at::Tensor P = randomMatrix(300, 6, 7, 0) * 0.05, Q = randomMatrix(300, 6, 8, 0) * 0.05;
    const LeadingTriplets fast = leadingTriplets({d, P, Q}, 20);
    const LeadingTriplets dense = leadingTripletsDense(at::diag(d) + P.matmul(Q.t()), 20);
    QVERIFY(!fast.dense);
    QVERIFY((fast.sigma - dense.sigma).abs().max().item<double>() < 1e-13);
    const at::Tensor cosines = (fast.left * dense.left).sum(1).abs();
    QVERIFY2((1 - cosines).max().item<double>() < 1e-10, "left vectors differ");
    QVERIFY2((1 - (fast.right * dense.right).sum(1).abs()).max().item<double>() < 1e-10, "right vectors differ");
  }

  void unchangedMatrix() {
    const at::Tensor W0 = randomMatrix(40, 50, 1, 0);
    const SiteSpectrum result =
        lowRankSpectrum(computeBaseSvd(W0), at::randn({4, 50}), at::zeros({40, 4}), 2.0, {.k = 10, .heatmapColumns = 16});
    QCOMPARE(result.effectiveRank, 0.0);
    QCOMPARE(result.relativeUpdate, 0.0);
    QVERIFY(result.deltaSigma.empty());
    QCOMPARE(result.intruders(1.0, 10), int64_t{0});
    for (const float value : result.maxCos) QCOMPARE(value, 1.0f);
  }

  // Equal singular values: the vectors inside such a space are not determined, the values and residuals are.
  void repeatedSingularValues() {
    const at::Tensor d = at::cat({at::full({30}, 2.0, at::kDouble), at::full({170}, 1.0, at::kDouble)});
    const at::Tensor P = randomMatrix(200, 3, 2, 0) * 0.1, Q = randomMatrix(200, 3, 3, 0) * 0.1;
    const LeadingTriplets found = leadingTriplets({d, P, Q}, 10);
    const at::Tensor S = at::linalg_svdvals(at::diag(d) + P.matmul(Q.t()));
    QVERIFY((found.sigma - S.narrow(0, 0, 10)).abs().max().item<double>() < 1e-10);
    QVERIFY(found.residual < 1e-9);
  }

  void oneStrongDirectionIsAnIntruder() {
    const at::Tensor W0 = randomMatrix(128, 128, 11, 0.01);
    const at::Tensor u = randomMatrix(128, 1, 12, 0), v = randomMatrix(1, 128, 13, 0);
    const SiteSpectrum result = lowRankSpectrum(computeBaseSvd(W0), v / v.norm(), u / u.norm(), 20.0, {.k = 10, .heatmapColumns = 32});
    QVERIFY(result.maxCos.front() < 0.5);
    QCOMPARE(result.intruders(0.5, 10), int64_t{1});
    QCOMPARE(result.intruders(0.5, 0), int64_t{0});
    QVERIFY(std::abs(result.effectiveRank - 1) < 1e-9);
    QVERIFY(std::abs(result.stableRank - 1) < 1e-9);
  }

  void effectiveRankOfEqualValuesIsTheirNumber() {
    QVERIFY(std::abs(effectiveRank(at::full({7}, 3.0, at::kDouble)) - 7) < 1e-12);
    QCOMPARE(effectiveRank(at::zeros({4}, at::kDouble)), 0.0);
  }

  void secondLookComesFromTheCache() {
    QTemporaryDir folder;
    const at::Tensor W = randomMatrix(60, 30, 5, 0).to(at::kFloat);
    const BaseSvd first = cachedBaseSvd(W, folder.path().toStdString());
    const BaseSvd second = cachedBaseSvd(W, folder.path().toStdString());
    QVERIFY(at::equal(first.U, second.U) && at::equal(first.S, second.S) && at::equal(first.V, second.V));
    QDir svd(folder.path() + "/svd");
    QCOMPARE(svd.entryList(QDir::Files).size(), 1);
    // A damaged entry is computed again.
    std::ofstream(svd.filePath(svd.entryList(QDir::Files).first()).toStdString()) << "broken";
    const BaseSvd third = cachedBaseSvd(W, folder.path().toStdString());
    QVERIFY(at::allclose(third.S, first.S));
  }

  void spectrumFileRoundTrip() {
    QTemporaryDir folder;
    const at::Tensor W0 = randomMatrix(20, 24, 2, 0);
    RunSpectrum spectrum;
    spectrum.step = 120;
    spectrum.k = 8;
    spectrum.sites.push_back(lowRankSpectrum(computeBaseSvd(W0), at::randn({2, 24}), at::randn({20, 2}), 1, {.k = 8, .heatmapColumns = 8}));
    spectrum.sites.back().site = "model.layers.0.self_attn.q_proj";
    const std::filesystem::path run = folder.path().toStdString();
    QVERIFY(writeSpectrum(run, spectrum).ok());
    const auto files = listSpectra(run);
    QCOMPARE(files.size(), size_t{1});
    const auto read = readSpectrum(files.front());
    QVERIFY(read.ok());
    QCOMPARE(read->sites.front().cos, spectrum.sites.front().cos);
    QCOMPARE(read->sites.front().sigmaBefore, spectrum.sites.front().sigmaBefore);
    QCOMPARE(read->sites.front().site, spectrum.sites.front().site);
    // A shortened array file is refused by name.
    std::filesystem::path bin = files.front();
    bin.replace_extension(".bin");
    std::filesystem::resize_file(bin, std::filesystem::file_size(bin) - 4);
    const auto damaged = readSpectrum(files.front());
    QVERIFY(!damaged.ok());
    QVERIFY(!damaged.error().hint.empty());
  }
};

QTEST_APPLESS_MAIN(TestSpectrum)
#include "test_spectrum.moc"

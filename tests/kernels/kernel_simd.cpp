// The pointer-level loops: each instruction set against the baseline, and the packed products against sums in double.

#include <ATen/ATen.h>

#include "kernels/cpu/simd/bf16_gemm.h"
#include "kernels/cpu/simd/few_rows.h"
#include "kernels/cpu/simd/row_kernels.h"
#include "kernels/philox.h"

using namespace rankscope::kernels;
using namespace rankscope::kernels::simd;

namespace {

template <typename T>
T* pointer(const at::Tensor& t) {
  return static_cast<T*>(t.data_ptr());
}

double relativeError(const at::Tensor& a, const at::Tensor& b) {
  const auto x = a.to(at::kDouble), y = b.to(at::kDouble);
  return ((x - y).norm() / (y.norm() + 1e-12)).item<double>();
}

// All row kernels of one instruction set on the same inputs.
template <typename T>
std::vector<at::Tensor> runAll(Isa isa, at::ScalarType type, int64_t rows, int64_t width) {
  at::manual_seed(3);
  const auto& k = rowKernels<T>(isa);
  const auto of = [&](int64_t w) { return at::randn({rows, w}).to(type); };
  const auto x = of(width), residual = of(width), wide = of(2 * width), grad = of(width), other = of(width);
  const auto weight = at::randn({width}), bias = at::randn({width});
  const auto like = [&](int64_t w) { return at::zeros({rows, w}, type); };
  const auto column = [&] { return at::zeros({rows}, at::kFloat); };
  const DropoutSpec mask{dropThreshold(0.3), 1 / 0.7f, 5, 6};
  std::vector<at::Tensor> out;
  const auto add = [&](std::initializer_list<at::Tensor> list) { out.insert(out.end(), list); };
  {
    auto sum = like(width), y = like(width), rstd = column(), g = like(width), gw = at::zeros({width});
    k.rmsNorm(pointer<T>(x), pointer<T>(residual), pointer<float>(weight), 1e-5f, 0, rows, width, pointer<T>(sum),
              pointer<T>(y), pointer<float>(rstd));
    k.rmsNormBackward(pointer<T>(grad), pointer<T>(other), pointer<T>(sum), pointer<float>(weight),
                      pointer<float>(rstd), 0, rows, width, pointer<T>(g), pointer<float>(gw));
    add({sum, y, rstd, g, gw});
  }
  {
    auto sum = like(width), y = like(width), mean = column(), rstd = column(), gx = like(width), gr = like(width);
    auto gw = at::zeros({width}), gb = at::zeros({width});
    k.layerNorm(pointer<T>(x), pointer<T>(residual), pointer<float>(weight), pointer<float>(bias), 1e-5f, mask, 0,
                rows, width, pointer<T>(sum), pointer<T>(y), pointer<float>(mean), pointer<float>(rstd));
    k.layerNormBackward(pointer<T>(grad), pointer<T>(sum), pointer<float>(weight), pointer<float>(mean),
                        pointer<float>(rstd), mask, 0, rows, width, pointer<T>(gx), pointer<T>(gr),
                        pointer<float>(gw), pointer<float>(gb));
    add({sum, y, mean, rstd, gx, gr, gw, gb});
  }
  auto y = like(width), g = like(2 * width), e = like(width), ge = like(width), d = like(width);
  k.swiglu(pointer<T>(wide), 0, rows, width, pointer<T>(y));
  k.swigluBackward(pointer<T>(grad), pointer<T>(wide), 0, rows, width, pointer<T>(g));
  k.gelu(pointer<T>(x), 0, x.numel(), pointer<T>(e));
  k.geluBackward(pointer<T>(grad), pointer<T>(x), 0, x.numel(), pointer<T>(ge));
  k.dropout(pointer<T>(x), mask, 0, x.numel(), pointer<T>(d));
  add({y, g, e, ge, d});
  const int64_t rank = 6;
  const auto left = at::randn({rows, rank}), right = at::randn({rank, width}), norms = at::empty({rows});
  const auto products = at::zeros({width}), sums = at::zeros({width});
  const auto rescaled = at::empty_like(x), back = at::empty_like(x);
  k.updatedRowNorms(pointer<T>(x), pointer<float>(right), pointer<float>(left), 0.5f, rank, 0, rows, width, pointer<float>(norms));
  k.rescaleColumns(pointer<T>(x), pointer<float>(bias), pointer<float>(weight), 0, rows, width, pointer<T>(rescaled));
  k.rescaleColumnsBackward(pointer<T>(grad), pointer<T>(x), pointer<float>(bias), pointer<float>(weight), 0, rows, width,
                           pointer<T>(back), pointer<float>(products), pointer<float>(sums));
  add({norms, rescaled, back, products, sums});
  return out;
}

bool supports(Isa isa) { return static_cast<int>(isa) <= static_cast<int>(bestIsa()); }

}  // namespace

class KernelSimd : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void instructionSetsAgree() {
    for (const auto isa : {Isa::Avx2, Isa::Avx512}) {
      if (!supports(isa)) continue;
      for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{3, 5}, {9, 129}, {4, 768}}) {
        const auto base = runAll<float>(Isa::Baseline, at::kFloat, rows, width);
        const auto fast = runAll<float>(isa, at::kFloat, rows, width);
        for (size_t i = 0; i < base.size(); ++i) QVERIFY(relativeError(fast[i], base[i]) < 2e-6);
        const auto half = runAll<uint16_t>(Isa::Baseline, at::kBFloat16, rows, width);
        const auto quick = runAll<uint16_t>(isa, at::kBFloat16, rows, width);
        for (size_t i = 0; i < half.size(); ++i) QVERIFY(relativeError(quick[i], half[i]) < 3e-3);
      }
    }
  }

  void fewRowsOfEachSet() {
    for (const auto isa : {Isa::Baseline, Isa::Avx2, Isa::Avx512}) {
      if (!supports(isa)) continue;
      for (const auto& [rows, in, outs] : {std::tuple<int64_t, int64_t, int64_t>{1, 576, 100}, {3, 7, 5}, {8, 64, 33},
                                           {15, 129, 66}, {4, 1, 1}}) {
        const auto x = at::randn({rows, in}), weight = at::randn({outs, in});
        const auto run = [&](int64_t first, int64_t count, int64_t begin, int64_t end) {
          auto y = at::full({count, outs}, 7.0f);
          fewRows(isa)(pointer<float>(x) + first * in, count, in, pointer<float>(weight), begin, end, outs, pointer<float>(y));
          return y;
        };
        const auto y = run(0, rows, 0, outs);
        QVERIFY(relativeError(y, at::mm(x.to(at::kDouble), weight.to(at::kDouble).t())) < 1e-6);
        // Each row alone gives the same bits, and a share of the columns leaves the others.
        for (int64_t m = 0; m < rows; ++m) QVERIFY(at::equal(run(m, 1, 0, outs)[0], y[m]));
        const auto part = run(0, rows, outs / 2, outs);
        QVERIFY(at::equal(part.narrow(1, outs / 2, outs - outs / 2), y.narrow(1, outs / 2, outs - outs / 2)));
        QVERIFY(part.narrow(1, 0, outs / 2).eq(7.0f).all().item<bool>());
      }
    }
  }

  void philoxKnownAnswers() {
    // The known-answer test of the generator's authors: counter and key all zero, and all ones.
    const auto zero = philox(0, 0, 0);
    QCOMPARE(zero.v[0], 0x6627e8d5u);
    QCOMPARE(zero.v[1], 0xe169c58du);
    QCOMPARE(zero.v[2], 0xbc57ac4cu);
    QCOMPARE(zero.v[3], 0x9b00dbd8u);
    const auto ones = philox(~0ull, ~0ull, ~0ull);
    QCOMPARE(ones.v[0], 0x408f276du);
    QCOMPARE(ones.v[1], 0x41c83b0eu);
    QCOMPARE(ones.v[2], 0xa20bc7c6u);
    QCOMPARE(ones.v[3], 0x6d5451fdu);
  }

  void products() {
    if (!available()) QSKIP("this CPU has no bfloat16 instructions");
    at::manual_seed(4);
    for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{100, 576, 64}, {13, 50, 33}, {8, 48, 2},
                                  {7, 5, 1}, {64, 8, 100}, {9, 64, 65}, {24, 97, 255}, {1, 1, 1}, {17, 31, 31}}) {
      const auto a = at::randn({m, k}).to(at::kBFloat16), b = at::randn({k, n}).to(at::kBFloat16);
      const auto at_ = a.t().contiguous(), bt = b.t().contiguous();
      const auto expected = at::mm(a.to(at::kDouble), b.to(at::kDouble)) * 1.5;
      for (const bool leftTransposed : {false, true})
        for (const bool rightTransposed : {false, true}) {
          std::vector<Bf16> left(static_cast<size_t>(packedLeftSize(m, k))), right(static_cast<size_t>(packedRightSize(n, k)));
          if (leftTransposed)
            packLeftTransposed(pointer<Bf16>(at_), m, m, k, 0, tilesOf(m), left.data());
          else
            packLeft(pointer<Bf16>(a), k, m, k, 0, tilesOf(m), left.data());
          if (rightTransposed)
            packRightTransposed(pointer<Bf16>(bt), k, n, k, 0, panelsOf(n), right.data());
          else
            packRight(pointer<Bf16>(b), n, n, k, 0, panelsOf(n), right.data());
          const Segment segment{left.data(), right.data(), k};
          const auto bias = at::randn({n});
          // A border that must stay untouched.
          auto out = at::full({m + 1, n + 3}, 7.0);
          out = out.to(at::kFloat);
          multiply(&segment, 1, m, n, 0, tilesOf(m), 0, panelsOf(n),
                   {pointer<float>(out), n + 3, Target::Float, pointer<float>(bias), 1.5f});
          QVERIFY(relativeError(out.narrow(0, 0, m).narrow(1, 0, n), expected + bias) < 1e-5);
          QVERIFY(out.select(0, m).eq(7).all().item<bool>() && out.narrow(1, n, 3).eq(7).all().item<bool>());
          const Segment both[] = {segment, segment};
          auto half = at::zeros({m, n}, at::kBFloat16);
          multiply(both, 2, m, n, 0, tilesOf(m), 0, panelsOf(n), {pointer<Bf16>(half), n, Target::Half});
          QVERIFY(relativeError(half, expected / 1.5 * 2) < 4e-3);
        }
    }
  }
};

QTEST_GUILESS_MAIN(KernelSimd)
#include "kernel_simd.moc"

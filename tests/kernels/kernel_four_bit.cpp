// 4-bit weights: every implementation against the composite, the bounds that a format promises, the bodies that the GPU
// runs, and the products with a low-rank term against those with the weight given back.

#include <torch/csrc/autograd/autograd.h>
#include <QtTest/QtTest>

#include "kernels/cpu/four_bit_cpu.h"
#include "kernels/cpu/simd/four_bit.h"
#include "kernels/cuda/four_bit_body.cuh"
#include "kernels/four_bit_ops.h"
#include "kernels/ops.h"
#include "kernels/registered.h"

using namespace rankscope::kernels;
using four_bit::Format;

namespace {

at::Tensor drawn(int64_t out, int64_t in) { return at::randn({out, in}) * 0.05; }

double worst(const at::Tensor& got, const at::Tensor& expected) {
  const auto a = got.to(at::kDouble), b = expected.to(at::kDouble);
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-12)).item<double>();
}

// The widest step between neighbouring levels.
double widestStep(Format format) {
  const auto levels = four_bit::sorted(format == Format::NF4 ? four_bit::kNormalLevels : four_bit::kFloatLevels);
  double widest = 0;
  for (int64_t i = 0; i + 1 < four_bit::kLevels; ++i)
    widest = std::max(widest, static_cast<double>(levels.level[i + 1]) - static_cast<double>(levels.level[i]));
  return widest;
}

}  // namespace

class KernelFourBit : public QObject {
  Q_OBJECT

  static void formats() {
    QTest::addColumn<int>("format");
    QTest::addColumn<int>("block");
    QTest::addColumn<bool>("twice");
    for (const int format : {0, 1})
      for (const int block : {32, 64, 1024})
        for (const bool twice : {false, true})
          QTest::addRow("%s blocks of %d%s", format == 0 ? "NF4" : "FP4", block, twice ? ", maxima in 8 bits" : "")
              << format << block << twice;
  }

 private Q_SLOTS:
  void initTestCase() { at::manual_seed(5); }

  void againstTheComposite_data() { formats(); }
  void againstTheComposite() {
    QFETCH(int, format);
    QFETCH(int, block);
    QFETCH(bool, twice);
    const auto kind = static_cast<Format>(format);
    // Odd numbers of values, rows that are no multiple of the block, several scales of maxima.
    for (const auto& [out, in] : {std::pair<int64_t, int64_t>{33, 51}, {7, 1}, {1, 300}, {130, 257}}) {
      auto source = drawn(out, in);
      source[0].zero_();
      const auto ours = quantiseFourBit(source, kind, block, twice);
      const auto theirs = reference::quantiseFourBit(source, kind, block, twice);
      const auto differing = ours.packed.ne(theirs.packed).sum().item<int64_t>();
      QVERIFY2(differing * 1000 <= ours.packed.numel(), qPrintable(QString::number(differing)));
      QCOMPARE(ours.bytes(), theirs.bytes());
      if (!twice) QVERIFY(ours.maxima.equal(theirs.maxima));
      if (twice) QVERIFY(ours.maximumCodes.equal(theirs.maximumCodes));
      for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble}) {
        const auto back = dequantiseFourBit(ours, type);
        QCOMPARE(back.scalar_type(), type);
        QVERIFY(worst(back, reference::dequantiseFourBit(ours, type)) < (type == at::kBFloat16 ? 4e-3 : 1e-6));
      }
      QVERIFY(dequantiseFourBit(ours, at::kFloat)[0].abs().max().item<float>() < 1e-6F || twice);
    }
  }

  // METHODS 19: |w − given back| is at most half the widest step of the block's maximum; codes are their own codes.
  void promises_data() { formats(); }
  void promises() {
    QFETCH(int, format);
    QFETCH(int, block);
    QFETCH(bool, twice);
    const auto kind = static_cast<Format>(format);
    const auto source = drawn(64, 192);
    const auto weight = quantiseFourBit(source, kind, block, twice);
    const auto back = dequantiseFourBit(weight, at::kFloat);
    const auto maxima = std::get<0>(source.view({-1, block}).abs().max(1, true));
    const auto error = (back - source).view({-1, block}).abs();
    if (!twice) {
      QVERIFY((error <= maxima * (widestStep(kind) / 2 * (1 + 1e-5))).all().item<bool>());
      const auto again = quantiseFourBit(back, kind, block, false);
      // FP4's second zero becomes the first: its sign is lost with its value.
      if (kind == Format::NF4) QVERIFY(again.packed.equal(weight.packed));
      QVERIFY(dequantiseFourBit(again, at::kFloat).equal(back));
      QVERIFY(again.maxima.equal(weight.maxima));
    } else {
      // The maxima are off by at most half a step of the map, 0.007 of the largest deviation, times the level.
      const auto scale = weight.maximumScales.max();
      QVERIFY((error <= maxima * (widestStep(kind) / 2) + scale * 0.0071).all().item<bool>());
    }
  }

  void bitsAValue() {
    const auto source = drawn(512, 1024);
    const auto values = static_cast<double>(source.numel());
    QCOMPARE(8.0 * static_cast<double>(quantiseFourBit(source, Format::NF4, 64, false).bytes()) / values, 4.5);
    const double twice = 8.0 * static_cast<double>(quantiseFourBit(source, Format::NF4, 64, true).bytes()) / values;
    QVERIFY2(std::abs(twice - 4.127) < 1e-3, qPrintable(QString::number(twice)));
  }

  // A range that starts and ends anywhere, on every instruction set.
  void anyRange() {
    const auto weight = quantiseFourBit(drawn(5, 77), Format::NF4, 32, true);
    const auto view = cpu::viewOf(weight);
    const auto whole = reference::dequantiseFourBit(weight, at::kFloat).flatten();
    for (int64_t first = 0; first < view.count; first += 3)
      for (const int64_t length : {1, 2, 15, 31, 48, 97}) {
        const int64_t last = std::min(view.count, first + length);
        std::vector<float> values(static_cast<size_t>(last - first) + 1, 7.0F);
        std::vector<uint16_t> halves(values.size(), 9);
        simd::dequantiseRange(view, first, last, values.data());
        simd::dequantiseRange(view, first, last, halves.data());
        for (int64_t i = first; i < last; ++i) {
          const auto at = static_cast<size_t>(i - first);
          QVERIFY(std::abs(values[at] - whole[i].item<float>()) < 1e-7F);
          QCOMPARE(values[at], four_bit::valueAt(view, i));
          QCOMPARE(halves[at], c10::BFloat16(values[at]).x);
        }
        QCOMPARE(values.back(), 7.0F);  // nothing behind the end is touched
        QCOMPARE(halves.back(), uint16_t{9});
      }
  }

  void products_data() {
    QTest::addColumn<int>("type");
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("rank");
    QTest::addColumn<double>("tolerance");
    for (const int rank : {0, 6})
      for (const int rows : {5, 70}) {
        QTest::addRow("float32, %d rows, rank %d", rows, rank) << static_cast<int>(at::kFloat) << rows << rank << 1e-6;
        QTest::addRow("bfloat16, %d rows, rank %d", rows, rank) << static_cast<int>(at::kBFloat16) << rows << rank << 2e-2;
        QTest::addRow("float64, %d rows, rank %d", rows, rank) << static_cast<int>(at::kDouble) << rows << rank << 1e-12;
      }
  }
  void products() {
    QFETCH(int, type);
    QFETCH(int, rows);
    QFETCH(int, rank);
    QFETCH(double, tolerance);
    const auto kind = static_cast<at::ScalarType>(type);
    for (const auto& [out, in] : {std::pair<int64_t, int64_t>{98, 130}, {48, 64}, {33, 50}}) {
      const auto weight = quantiseFourBit(drawn(out, in), Format::NF4, 64, true);
      const auto plain = dequantiseFourBit(weight, kind);
      const auto x = at::randn({rows, in}).to(kind), bias = at::randn({out}), gradY = at::randn({rows, out}).to(kind);
      const auto factorType = kind == at::kDouble ? at::kDouble : at::kFloat;
      const auto a0 = (at::randn({std::max(rank, 1), in}) * 0.1).to(factorType);
      const auto b0 = (at::randn({out, std::max(rank, 1)}) * 0.1).to(factorType);
      const auto run = [&](bool coded) {
        const auto input = x.detach().clone().requires_grad_();
        const auto a = rank > 0 ? a0.clone().requires_grad_() : at::Tensor();
        const auto b = rank > 0 ? b0.clone().requires_grad_() : at::Tensor();
        const double p = rank > 0 ? 0.25 : 0;
        at::Tensor y;
        if (coded)
          y = fourBitLoraLinear(input, weight, bias, a, b, 0.5, p, 11, 3);
        else
          y = rank > 0 ? loraLinear(input, plain, bias, a, b, 0.5, p, 11, 3) : linear(input, plain, bias);
        std::vector<at::Tensor> inputs{input};
        if (rank > 0) inputs.insert(inputs.end(), {a, b});
        auto all = torch::autograd::grad({y}, inputs, {gradY});
        all.push_back(y.detach());
        return all;
      };
      const auto coded = run(true), expected = run(false);
      QCOMPARE(coded.size(), expected.size());
      for (size_t i = 0; i < coded.size(); ++i) QVERIFY2(worst(coded[i], expected[i]) <= tolerance, qPrintable(QString("%1").arg(i)));
    }
  }

  // Maps of one input in one product: weights of other sizes, one without factors, one with single maxima.
  void groupsEqualTheirParts_data() {
    QTest::addColumn<int>("type");
    QTest::addColumn<double>("tolerance");
    QTest::newRow("float32") << static_cast<int>(at::kFloat) << 1e-4;
    QTest::newRow("bfloat16") << static_cast<int>(at::kBFloat16) << 0.15;
    QTest::newRow("float64") << static_cast<int>(at::kDouble) << 1e-10;
  }
  void groupsEqualTheirParts() {
    QFETCH(int, type);
    QFETCH(double, tolerance);
    const auto kind = static_cast<at::ScalarType>(type);
    const auto factorType = kind == at::kDouble ? at::kDouble : at::kFloat;
    constexpr int64_t kIn = 66;
    for (const int64_t rows : {3, 70}) {
      const std::vector<FourBitWeight> weights{quantiseFourBit(drawn(50, kIn), Format::NF4, 64, true),
                                               quantiseFourBit(drawn(18, kIn), Format::FP4, 32, false),
                                               quantiseFourBit(drawn(40, kIn), Format::NF4, 64, true)};
      const auto x = at::randn({rows, kIn}).to(kind), bias = at::randn({108}), gradY = at::randn({rows, 108}).to(kind);
      std::vector<at::Tensor> a0(3), b0(3);
      for (const size_t i : {size_t{0}, size_t{2}}) {
        a0[i] = (at::randn({4, kIn}) * 0.1).to(factorType);
        b0[i] = (at::randn({weights[i].out, 4}) * 0.1).to(factorType);
      }
      const auto run = [&](bool together) {
        const auto input = x.detach().clone().requires_grad_();
        std::vector<at::Tensor> a(3), b(3), parts, inputs{input};
        for (size_t i = 0; i < 3; ++i) {
          if (!a0[i].defined()) continue;
          inputs.push_back(a[i] = a0[i].clone().requires_grad_());
          inputs.push_back(b[i] = b0[i].clone().requires_grad_());
        }
        const std::vector<double> scalings{0.5, 0, 2};
        int64_t row = 0;
        for (size_t i = 0; i < 3; ++i) {
          parts.push_back(fourBitLoraLinear(input, weights[i], bias.narrow(0, row, weights[i].out), a[i], b[i], scalings[i], 0, 0, 0));
          row += weights[i].out;
        }
        const auto y = together ? fourBitLoraLinearGroup(input, weights, bias, a, b, scalings) : at::cat(parts, 1);
        auto all = torch::autograd::grad({y}, inputs, {gradY});
        all.push_back(y.detach());
        return all;
      };
      const auto whole = run(true), byParts = run(false);
      QCOMPARE(whole.size(), size_t{6});
      for (size_t i = 0; i < whole.size(); ++i) QVERIFY2(worst(whole[i], byParts[i]) <= tolerance, qPrintable(QString::number(i)));
    }
  }

  void gpuBodies() {
    for (const bool twice : {false, true}) {
      const auto source = drawn(19, 67);
      const int64_t block = 64, count = source.numel(), blocks = (count + block - 1) / block;
      const auto expected = cpu::quantiseFourBit(source, Format::FP4, block, false);
      const auto levels = four_bit::sorted(four_bit::kFloatLevels);
      const auto flat = source.flatten();
      const float* values = flat.const_data_ptr<float>();
      const int64_t threads = 7;
      std::vector<uint8_t> packed(static_cast<size_t>((count + 1) / 2));
      std::vector<float> maxima(static_cast<size_t>(blocks));
      const auto overLanes = [&](const auto& body) {
        for (int64_t t = 0; t < threads; ++t) body(four_bit::Lane{t, threads});
      };
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t first = b * block, here = std::min(block, count - first);
        float largest = 0;
        overLanes([&](auto lane) { largest = four_bit::larger(largest, four_bit::largestOf(lane, values + first, here, 0.0F)); });
        maxima[static_cast<size_t>(b)] = largest;
        overLanes([&](auto lane) { four_bit::writeCodes(lane, values + first, here, largest, levels, packed.data() + first / 2); });
      }
      QVERIFY(std::memcmp(packed.data(), expected.packed.const_data_ptr(), packed.size()) == 0);
      QVERIFY(std::memcmp(maxima.data(), expected.maxima.const_data_ptr(), maxima.size() * sizeof(float)) == 0);
      auto weight = expected;
      if (twice) {
        weight = cpu::quantiseFourBit(source, Format::FP4, block, true);
        const float offset = weight.offset.item<float>();
        float scale = 0;
        overLanes([&](auto lane) { scale = four_bit::larger(scale, four_bit::largestOf(lane, maxima.data(), blocks, offset)); });
        QCOMPARE(scale, weight.maximumScales.item<float>());
        std::vector<uint8_t> codes(maxima.size());
        overLanes([&](auto lane) {
          four_bit::writeMaximumCodes(lane, maxima.data(), blocks, offset, scale, dynamicMap().const_data_ptr<float>(), codes.data());
        });
        QVERIFY(std::memcmp(codes.data(), weight.maximumCodes.const_data_ptr(), codes.size()) == 0);
      }
      const auto view = cpu::viewOf(weight);
      auto out = at::empty({count});
      const float* offset = twice ? weight.offset.const_data_ptr<float>() : nullptr;
      for (int64_t byte = 0; byte < (count + 1) / 2; ++byte) four_bit::writeValues(byte, view, offset, out.mutable_data_ptr<float>());
      QVERIFY(out.view({19, 67}).equal(dequantiseFourBit(weight, at::kFloat)));
    }
  }

  void refusals() {
    const auto good = drawn(4, 64);
    QVERIFY_THROWS_EXCEPTION(c10::Error, quantiseFourBit(good, Format::NF4, 48, false));
    QVERIFY_THROWS_EXCEPTION(c10::Error, quantiseFourBit(good.flatten(), Format::NF4, 64, false));
    auto broken = good.clone();
    broken[1][3] = std::numeric_limits<float>::quiet_NaN();
    QVERIFY_THROWS_EXCEPTION(c10::Error, quantiseFourBit(broken, Format::NF4, 64, true));
    auto weight = quantiseFourBit(good, Format::NF4, 64, true);
    weight.maximumCodes = weight.maximumCodes.narrow(0, 0, 2);
    QVERIFY_THROWS_EXCEPTION(c10::Error, dequantiseFourBit(weight, at::kFloat));
    QVERIFY_THROWS_EXCEPTION(c10::Error, fourBitLoraLinear(at::randn({3, 60}), quantiseFourBit(good, Format::NF4, 64, true),
                                                           {}, {}, {}, 1, 0, 0, 0));
  }
};

QTEST_GUILESS_MAIN(KernelFourBit)
#include "kernel_four_bit.moc"

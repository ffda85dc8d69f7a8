// Every operator against its plain composite: values and all gradients, in float32 and bfloat16, over odd shapes.

#include <torch/csrc/autograd/autograd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "kernels/cpu/packed_products.h"
#include "kernels/reference/reference.h"

using namespace rankscope::kernels;

namespace {

using Tensors = std::vector<at::Tensor>;
using Function = std::function<Tensors(const Tensors&)>;

at::Tensor random(at::IntArrayRef sizes, double scale = 1) { return at::randn(sizes) * scale; }

double relativeError(const at::Tensor& a, const at::Tensor& b) {
  const auto x = a.to(at::kDouble), y = b.to(at::kDouble);
  return ((x - y).norm() / (y.norm() + 1e-12)).item<double>();
}

// Runs both on the same leaves: the tested one in `type`, the reference in float32 on the values as rounded to `type`.
// Inputs listed in `kept` stay float32 (norm weights, factors).
void compare(const Function& tested, const Function& reference, const Tensors& inputs, at::ScalarType type,
             const std::vector<bool>& kept, double tolerance) {
  Tensors a, b;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto held = kept[i] ? inputs[i] : inputs[i].to(type);
    a.push_back(held.detach().clone().requires_grad_());
    b.push_back(held.to(at::kFloat).detach().clone().requires_grad_());
  }
  const auto x = tested(a), y = reference(b);
  QCOMPARE(x.size(), y.size());
  at::Tensor lossA, lossB;
  for (size_t i = 0; i < x.size(); ++i) {
    QCOMPARE(x[i].sizes(), y[i].sizes());
    QVERIFY2(relativeError(x[i], y[i]) < tolerance,
             qPrintable(QString("output %1: %2").arg(i).arg(relativeError(x[i], y[i]))));
    const auto weight = at::randn(y[i].sizes()).to(type);
    const auto partA = (x[i] * weight.to(x[i].scalar_type())).to(at::kFloat).sum();
    const auto partB = (y[i] * weight.to(at::kFloat)).sum();
    lossA = lossA.defined() ? lossA + partA : partA;
    lossB = lossB.defined() ? lossB + partB : partB;
  }
  lossA.backward();
  lossB.backward();
  for (size_t i = 0; i < inputs.size(); ++i) {
    QVERIFY2(a[i].grad().defined(), qPrintable(QString("input %1 has no gradient").arg(i)));
    QVERIFY2(relativeError(a[i].grad(), b[i].grad()) < tolerance,
             qPrintable(QString("gradient %1: %2").arg(i).arg(relativeError(a[i].grad(), b[i].grad()))));
  }
}

}  // namespace

class KernelOps : public QObject {
  Q_OBJECT

  static void types() {
    QTest::addColumn<int>("type");
    QTest::addColumn<double>("tolerance");
    QTest::newRow("float32") << static_cast<int>(at::kFloat) << 5e-6;
    QTest::newRow("bfloat16") << static_cast<int>(at::kBFloat16) << 1.2e-2;
  }

 private Q_SLOTS:
  void init() { at::manual_seed(11); }

  void norms_data() { types(); }
  void norms() {
    QFETCH(int, type);
    QFETCH(double, tolerance);
    const auto t = static_cast<at::ScalarType>(type);
    for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{7, 33}, {64, 576}, {2, 9}}) {
      const auto w = random({width}) + 1, bias = random({width});
      const Tensors two{random({rows, width}), random({rows, width})};
      compare([](const Tensors& in) { return Tensors{rmsNorm(in[0], in[1], 1e-5)}; },
              [](const Tensors& in) { return Tensors{reference::rmsNorm(in[0], in[1], 1e-5)}; }, {two[0], w}, t,
              {false, true}, tolerance);
      const auto both = [](const auto& op) {
        return [op](const Tensors& in) {
          const auto out = op(in[0], in[1], in[2], 1e-5);
          return Tensors{out.first, out.second};
        };
      };
      compare(both(addRmsNorm), both(reference::addRmsNorm), {two[0], two[1], w}, t, {false, false, true}, tolerance);
      for (const double p : {0.0, 0.3}) {
        compare([&](const Tensors& in) { return Tensors{addLayerNorm(in[0], in[1], in[2], in[3], 1e-12, p, 5, 3)}; },
                [&](const Tensors& in) {
                  return Tensors{reference::addLayerNorm(in[0], in[1], in[2], in[3], 1e-12, p, 5, 3)};
                },
                {two[0], two[1], w, bias}, t, {false, false, true, true}, tolerance);
        compare([&](const Tensors& in) { return Tensors{addLayerNorm(in[0], {}, in[1], in[2], 1e-5, p, 5, 3)}; },
                [&](const Tensors& in) { return Tensors{reference::addLayerNorm(in[0], {}, in[1], in[2], 1e-5, p, 5, 3)}; },
                {two[0], w, bias}, t, {false, true, true}, tolerance);
      }
    }
  }

  void elementwise_data() { types(); }
  void elementwise() {
    QFETCH(int, type);
    QFETCH(double, tolerance);
    const auto t = static_cast<at::ScalarType>(type);
    for (const int64_t width : {2, 34, 1536}) {
      const auto x = random({9, width}, 3);
      compare([](const Tensors& in) { return Tensors{swiglu(in[0])}; },
              [](const Tensors& in) { return Tensors{reference::swiglu(in[0])}; }, {x}, t, {false}, tolerance);
      compare([](const Tensors& in) { return Tensors{rankscope::kernels::gelu(in[0])}; },
              [](const Tensors& in) { return Tensors{reference::gelu(in[0])}; }, {x}, t, {false}, tolerance);
      compare([](const Tensors& in) { return Tensors{dropout(in[0], 0.25, 77, 4)}; },
              [](const Tensors& in) { return Tensors{reference::dropout(in[0], 0.25, 77, 4)}; }, {x}, t, {false},
              tolerance);
    }
    // Far tails stay finite and exact.
    const auto far = at::tensor({-200.f, 200.f, -90.f, 90.f, 0.f, -0.f}).to(t);
    QVERIFY(rankscope::kernels::gelu(far).isfinite().all().item<bool>());
    QVERIFY(swiglu(at::stack({far, far}).reshape({1, 12})).isfinite().all().item<bool>());
  }

  void attention_data() { types(); }
  void attention() {
    QFETCH(int, type);
    QFETCH(double, tolerance);
    const auto t = static_cast<at::ScalarType>(type);
    const std::vector<std::vector<int64_t>> boundaries{{0, 5}, {0, 1, 4, 77, 80}, {0, 129, 130, 200}};
    struct Shape {
      int64_t heads, kvHeads, dim;
      bool causal, rotary;
      double p;
    };
    for (const auto& starts : boundaries)
      for (const auto& shape : {Shape{4, 2, 8, true, true, 0}, Shape{3, 1, 64, true, true, 0},
                                Shape{2, 2, 64, false, false, 0.2}, Shape{4, 4, 20, false, false, 0},
                                Shape{6, 2, 50, true, false, 0.1}}) {
        const auto tokens = starts.back();
        AttentionSpec spec{shape.heads, shape.kvHeads, shape.dim, shape.causal, 1 / std::sqrt(double(shape.dim)),
                           shape.p, 99, 7};
        const auto angles = random({tokens, shape.dim / 2}, 2);
        const auto cos = shape.rotary ? angles.cos() : at::Tensor(), sin = shape.rotary ? angles.sin() : at::Tensor();
        compare([&](const Tensors& in) { return Tensors{packedAttention(in[0], starts, cos, sin, spec)}; },
                [&](const Tensors& in) { return Tensors{reference::packedAttention(in[0], starts, cos, sin, spec)}; },
                {random({tokens, (shape.heads + 2 * shape.kvHeads) * shape.dim})}, t, {false}, tolerance);
      }
  }

  void lowRank_data() { types(); }
  void lowRank() {
    QFETCH(int, type);
    QFETCH(double, tolerance);
    const auto t = static_cast<at::ScalarType>(type);
    struct Shape {
      int64_t rows, in, out, rank;
      double p;
    };
    for (const auto& s : {Shape{50, 64, 96, 8, 0}, Shape{37, 34, 50, 3, 0}, Shape{200, 130, 62, 1, 0},
                          Shape{40, 64, 48, 5, 0.3}, Shape{3, 20, 30, 4, 0}, Shape{33, 15, 21, 2, 0}, Shape{64, 96, 192, 60, 0}}) {
      const auto w = random({s.out, s.in}, 0.1).to(t), wf = w.to(at::kFloat);
      const Tensors inputs{random({s.rows, s.in}), random({s.out}), random({s.rank, s.in}, 0.2),
                           random({s.out, s.rank}, 0.2)};
      compare([&](const Tensors& in) { return Tensors{loraLinear(in[0], w, in[1], in[2], in[3], 1.7, s.p, 3, 9)}; },
              [&](const Tensors& in) {
                return Tensors{reference::loraLinear(in[0], wf, in[1], in[2], in[3], 1.7, s.p, 3, 9)};
              },
              inputs, t, {false, true, true, true}, tolerance);
      compare([&](const Tensors& in) { return Tensors{linear(in[0], w, in[1])}; },
              [&](const Tensors& in) { return Tensors{reference::linear(in[0], wf, in[1])}; }, {inputs[0], inputs[1]},
              t, {false, true}, tolerance);
      // A weight that trains, held in float32.
      compare([](const Tensors& in) { return Tensors{linear(in[0], in[1], in[2])}; },
              [](const Tensors& in) { return Tensors{reference::linear(in[0], in[1], in[2])}; },
              {inputs[0], random({s.out, s.in}, 0.1), inputs[1]}, t, {false, true, true}, tolerance);
    }
  }

  void lowRankGroups_data() { types(); }
  void lowRankGroups() {
    QFETCH(int, type);
    QFETCH(double, tolerance);
    const auto t = static_cast<at::ScalarType>(type);
    for (const auto& outs : {std::vector<int64_t>{96, 48, 48}, {30, 20, 14}, {17, 33}}) {
      int64_t sum = 0;
      for (const auto out : outs) sum += out;
      const auto w = random({sum, 62}, 0.1).to(t), wf = w.to(at::kFloat);
      Tensors inputs{random({45, 62})};
      std::vector<bool> kept{false};
      // The second map has no adapter; ranks differ.
      for (size_t i = 0; i < outs.size(); ++i) {
        if (i == 1) continue;
        inputs.push_back(random({static_cast<int64_t>(4 + i), 62}, 0.2));
        inputs.push_back(random({outs[i], static_cast<int64_t>(4 + i)}, 0.2));
        kept.insert(kept.end(), {true, true});
      }
      const auto run = [&](const auto& op, const at::Tensor& weight) {
        return [&, op, weight](const Tensors& in) {
          Tensors a(outs.size()), b(outs.size());
          size_t next = 1;
          for (size_t i = 0; i < outs.size(); ++i) {
            if (i == 1) continue;
            a[i] = in[next++];
            b[i] = in[next++];
          }
          const std::vector<double> scalings(outs.size(), 0.5);
          return Tensors{op(in[0], weight, at::Tensor(), outs, a, b, scalings)};
        };
      };
      compare(run(loraLinearGroup, w), run(reference::loraLinearGroup, wf), inputs, t, kept, tolerance);
    }
  }

  void losses_data() { types(); }
  void losses() {
    QFETCH(int, type);
    QFETCH(double, tolerance);
    const auto t = static_cast<at::ScalarType>(type);
    for (const auto& [rows, width, words] :
         {std::tuple<int64_t, int64_t, int64_t>{70, 32, 1000}, {5, 20, 30}, {130, 64, 481}, {1, 8, 240}}) {
      auto labels = at::randint(words, {rows}, at::kLong);
      if (rows > 4) labels.index_put_({at::tensor({1, 3}, at::kLong)}, at::tensor(-100, at::kLong));
      const auto hidden = random({rows, width}, 2), weight = random({words, width}, 0.5);
      for (const bool trains : {false, true}) {
        const auto held = weight.to(t), wide = held.to(at::kFloat);
        for (const double normaliser : {0.0, 12.5}) {
          const auto run = [&](const auto& op, const at::Tensor& w) {
            return [&, op, w](const Tensors& in) {
              return Tensors{op(in[0], trains ? in[1] : w, labels, normaliser)};
            };
          };
          compare(run(linearCrossEntropy, held), run(reference::linearCrossEntropy, wide),
                  trains ? Tensors{hidden, wide} : Tensors{hidden}, t, {false, true}, tolerance);
        }
      }
    }
    // Nothing labelled: zero, and gradients of zero.
    const auto hidden = random({6, 8}).to(t).requires_grad_();
    const auto loss = linearCrossEntropy(hidden, random({20, 8}).to(t), at::full({6}, -100, at::kLong), 0);
    QCOMPARE(loss.item<float>(), 0.f);
    loss.backward();
    QCOMPARE(hidden.grad().abs().max().item<float>(), 0.f);
    // Logits far apart and far from zero.
    const auto far = random({40, 64}, 40).to(t), words = random({600, 64}, 4).to(t);
    const auto labels = at::randint(600, {40}, at::kLong);
    QVERIFY(relativeError(linearCrossEntropy(far, words, labels, 0),
                          reference::linearCrossEntropy(far.to(at::kFloat), words.to(at::kFloat), labels, 0)) < tolerance);
  }

  void masksDependOnTheirPlaceOnly() {
    const auto x = at::ones({64, 64});
    const auto a = dropout(x, 0.5, 1, 1);
    QVERIFY(at::equal(a, dropout(x, 0.5, 1, 1)));
    QVERIFY(!at::equal(a, dropout(x, 0.5, 1, 2)));
    QVERIFY(!at::equal(a, dropout(x, 0.5, 2, 1)));
    const auto share = a.eq(0).to(at::kFloat).mean().item<float>();
    QVERIFY(share > 0.46 && share < 0.54);
    QVERIFY(dropoutSeed(1, 0, 0) != dropoutSeed(1, 1, 0) && dropoutSeed(1, 0, 0) != dropoutSeed(1, 0, 1));
    QVERIFY(dropoutSeed(1, 0, 0) != dropoutSeed(2, 0, 0));
  }

  void sameBitsEveryTime() {
    const auto x = random({300, 576}).to(at::kBFloat16), w = random({960, 576}, 0.05).to(at::kBFloat16);
    const auto a = random({8, 576}, 0.05).requires_grad_(), b = random({960, 8}, 0.05).requires_grad_();
    at::Tensor first, firstGrad;
    for (int i = 0; i < 3; ++i) {
      const auto in = x.detach().clone().requires_grad_();
      const auto y = loraLinear(in, w, {}, a, b, 2, 0, 0, 0);
      const auto loss = linearCrossEntropy(y, random({4, 960}).to(at::kBFloat16) * 0 + 0.01, at::zeros({300}, at::kLong), 0);
      const auto grads = torch::autograd::grad({y.to(at::kFloat).square().mean() + loss}, {in, a, b});
      if (i == 0) first = y, firstGrad = grads[1];
      QVERIFY(at::equal(first, y));
      QVERIFY(at::equal(firstGrad, grads[1]));
    }
  }

  // Each share has its own thread: the first waits until the second has begun, which a plain loop would never let it.
  void sharesRunAtTheSameTime() {
    const int before = at::get_num_threads();
    at::set_num_threads(2);
    std::atomic<int> begun{0};
    std::set<std::thread::id> threads;
    std::mutex guard;
    cpu::overShares(2, [&](int64_t, int64_t) {
      ++begun;
      for (int i = 0; i < 5000 && begun < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const std::lock_guard lock(guard);
      threads.insert(std::this_thread::get_id());
    });
    at::set_num_threads(before);
    QCOMPARE(threads.size(), size_t{2});
  }

  void misuseIsRefused() {
    const auto x = random({20, 8}).to(at::kBFloat16), w = random({6, 8}).to(at::kBFloat16);
    QVERIFY_EXCEPTION_THROWN(loraLinear(x, w, {}, random({2, 7}), random({6, 2}), 1, 0, 0, 0), c10::Error);
    QVERIFY_EXCEPTION_THROWN(loraLinear(x, w, {}, random({2, 8}), random({5, 2}), 1, 0, 0, 0), c10::Error);
    QVERIFY_EXCEPTION_THROWN(loraLinear(x, w, {}, random({2, 8}), random({6, 2}), 1, 1.0, 0, 0), c10::Error);
    AttentionSpec spec;
    spec.heads = spec.kvHeads = 1;
    spec.headDim = 4;
    QVERIFY_EXCEPTION_THROWN(packedAttention(x, {0, 20}, {}, {}, spec), c10::Error);
    const auto fits = random({20, 12}).to(at::kBFloat16);
    QVERIFY_EXCEPTION_THROWN(packedAttention(fits, {0, 19}, {}, {}, spec), c10::Error);
    QVERIFY_EXCEPTION_THROWN(packedAttention(fits, {0, 3, 3, 20}, {}, {}, spec), c10::Error);
    QVERIFY_EXCEPTION_THROWN(linearCrossEntropy(x, w, at::full({20}, 6, at::kLong), 0), std::exception);
  }
};

QTEST_GUILESS_MAIN(KernelOps)
#include "kernel_ops.moc"

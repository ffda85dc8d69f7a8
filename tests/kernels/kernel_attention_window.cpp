// Attention that sees only the last keys: the implementations against the composite, forward and backward, and the
// composite against the definition; a window as long as the sequence changes nothing.

#include <torch/csrc/autograd/autograd.h>
#include <QtTest/QtTest>

#include "kernels/generic/generic.h"
#include "kernels/ops.h"
#include "kernels/reference/reference.h"

using namespace rankscope::kernels;

class KernelAttentionWindow : public QObject {
  Q_OBJECT

  static double worst(const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).abs().max() / b.abs().max().clamp_min(1e-3)).item<double>();
  }

 private Q_SLOTS:
  void initTestCase() { at::manual_seed(11); }

  void againstTheComposite_data() {
    QTest::addColumn<int>("type");
    QTest::addColumn<double>("tolerance");
    QTest::newRow("float32") << static_cast<int>(at::kFloat) << 5e-6;
    QTest::newRow("bfloat16") << static_cast<int>(at::kBFloat16) << 1.2e-2;
  }
  void againstTheComposite() {
    QFETCH(int, type);
    QFETCH(double, tolerance);
    const auto t = static_cast<at::ScalarType>(type);
    const std::vector<std::vector<int64_t>> boundaries{{0, 5}, {0, 1, 4, 77, 80}, {0, 129, 330, 500}};
    struct Shape {
      int64_t heads, kvHeads, dim;
      double p;
    };
    for (const auto& starts : boundaries)
      for (const auto& shape : {Shape{4, 2, 8, 0}, Shape{3, 1, 64, 0}, Shape{2, 2, 50, 0.2}})
        for (const int64_t window : {1, 3, 48, 70, 129}) {
          const auto tokens = starts.back();
          AttentionSpec spec{shape.heads, shape.kvHeads, shape.dim, true, 1 / std::sqrt(double(shape.dim)), shape.p, 99,
                             7,           window};
          const auto angles = at::randn({tokens, shape.dim / 2}) * 2;
          const auto cos = angles.cos(), sin = angles.sin();
          const auto values = at::randn({tokens, (shape.heads + 2 * shape.kvHeads) * shape.dim}).to(t);
          const auto x = values.detach().requires_grad_(), f = values.to(at::kFloat).requires_grad_();
          const auto y = packedAttention(x, starts, cos, sin, spec);
          const auto expected = reference::packedAttention(f, starts, cos, sin, spec);
          QVERIFY2(worst(y.to(at::kFloat), expected) < tolerance, qPrintable(QString("window %1").arg(window)));
          const auto g = at::randn(y.sizes()).to(t);
          const auto grad = torch::autograd::grad({y}, {x}, {g})[0];
          const auto want = torch::autograd::grad({expected}, {f}, {g.to(at::kFloat)})[0];
          QVERIFY2(worst(grad.to(at::kFloat), want) < 2 * tolerance, qPrintable(QString("window %1").arg(window)));
        }
  }

  void theDefinition() {
    const int64_t length = 12, dim = 4, window = 5;
    const AttentionSpec spec{1, 1, dim, true, 0.5, 0, 0, 0, window};
    const auto qkv = at::randn({length, 3 * dim});
    const auto y = packedAttention(qkv, {0, length}, {}, {}, spec);
    for (int64_t i = 0; i < length; ++i) {
      const auto first = std::max<int64_t>(0, i - window + 1);
      const auto seen = qkv.slice(0, first, i + 1);
      const auto weights = at::softmax(seen.slice(1, dim, 2 * dim).mv(qkv[i].slice(0, 0, dim)) * 0.5, 0);
      QVERIFY(worst(y[i], weights.matmul(seen.slice(1, 2 * dim, 3 * dim))) < 1e-5);
    }
    for (const auto t : {at::kFloat, at::kBFloat16}) {
      auto wide = spec, none = spec;
      wide.window = length;
      none.window = 0;
      const auto x = qkv.to(t);
      QVERIFY(at::equal(packedAttention(x, {0, length}, {}, {}, wide), packedAttention(x, {0, length}, {}, {}, none)));
    }
  }

  void misuseIsRefused() {
    AttentionSpec spec{1, 1, 4, false, 1, 0, 0, 0, 3};
    const auto x = at::randn({6, 12});
    QVERIFY_EXCEPTION_THROWN(packedAttention(x, {0, 6}, {}, {}, spec), c10::Error);
    spec.causal = true;
    spec.window = -1;
    QVERIFY_EXCEPTION_THROWN(packedAttention(x, {0, 6}, {}, {}, spec), c10::Error);
  }
};

QTEST_GUILESS_MAIN(KernelAttentionWindow)
#include "kernel_attention_window.moc"

// The bodies that the GPU runs, run here lane by lane on the CPU, against the CPU operators; and the CUDA library's
// absence, which must be silent.

#include "kernels/cuda/dora_body.cuh"
#include "kernels/cuda/row_bodies.cuh"
#include "kernels/registered.h"
#include "kernels/ops.h"

using namespace rankscope::kernels;
namespace gpu = rankscope::kernels::cuda;

namespace {

template <typename T>
T* data(const at::Tensor& t) {
  return static_cast<T*>(t.data_ptr());
}

double relativeError(const at::Tensor& a, const at::Tensor& b) {
  const auto x = a.to(at::kDouble), y = b.to(at::kDouble);
  return ((x - y).norm() / (y.norm() + 1e-12)).item<double>();
}

#define COMPARE_CLOSE(actual, expected) \
  QVERIFY2(relativeError(actual, expected) < tolerance, #actual " is not " #expected)

template <typename T>
void checkBodies(at::ScalarType type, double tolerance) {
  at::manual_seed(9);
  const int64_t rows = 5, width = 70;
  const auto of = [&](int64_t w) { return at::randn({rows, w}).to(type); };
  const auto x = of(width), residual = of(width), gradY = of(width), other = of(width), wide = of(2 * width);
  const auto weight = at::randn({width}), bias = at::randn({width});
  const op::MaskArgs args{0.3, 21, 4};
  const gpu::Mask mask{21, 4, dropThreshold(0.3), static_cast<float>(1 / 0.7)};
  for (const int lanes : {1, 32, 256}) {
    auto sum = at::empty_like(x), y = at::empty_like(x), g = at::empty_like(x), gr = at::empty_like(x);
    auto rstd = at::empty({rows}), mean = at::empty({rows}), gw = at::empty({width}), gb = at::empty({width});
    {
      const auto [ey, es, er] = op::rmsNorm(x, residual, weight, 1e-5);
      gpu::runRowsOnHost(gpu::RmsNormBody<T>{data<T>(x), data<T>(residual), data<float>(weight), data<T>(sum),
                                             data<T>(y), data<float>(rstd), 1e-5f, width}, rows, lanes);
      COMPARE_CLOSE(y, ey);
      COMPARE_CLOSE(sum, es);
      COMPARE_CLOSE(rstd, er);
      const auto [eg, ew] = op::rmsNormBackward(gradY, other, es, weight, er, true);
      gpu::runRowsOnHost(gpu::RmsNormBackwardBody<T>{data<T>(gradY), data<T>(other), data<T>(es), data<float>(weight),
                                                     data<float>(er), data<T>(g), width}, rows, lanes);
      gpu::runElementsOnHost(gpu::NormWeightBody<T>{data<T>(gradY), data<T>(es), nullptr, data<float>(er),
                                                    data<float>(gw), nullptr, rows, width}, width);
      COMPARE_CLOSE(g, eg);
      COMPARE_CLOSE(gw, ew);
    }
    {
      const auto [ey, es, em, er] = op::layerNorm(x, residual, weight, bias, 1e-5, args);
      gpu::runRowsOnHost(gpu::LayerNormBody<T>{data<T>(x), data<T>(residual), data<float>(weight), data<float>(bias),
                                               mask, data<T>(sum), data<T>(y), data<float>(mean), data<float>(rstd),
                                               1e-5f, width}, rows, lanes);
      COMPARE_CLOSE(y, ey);
      COMPARE_CLOSE(sum, es);
      COMPARE_CLOSE(mean, em);
      const auto [ex, egr, ew, eb] = op::layerNormBackward(gradY, es, weight, em, er, args, true);
      gpu::runRowsOnHost(gpu::LayerNormBackwardBody<T>{data<T>(gradY), data<T>(es), data<float>(weight),
                                                       data<float>(em), data<float>(er), mask, data<T>(g), data<T>(gr),
                                                       width}, rows, lanes);
      gpu::runElementsOnHost(gpu::NormWeightBody<T>{data<T>(gradY), data<T>(es), data<float>(em), data<float>(er),
                                                    data<float>(gw), data<float>(gb), rows, width}, width);
      COMPARE_CLOSE(g, ex);
      COMPARE_CLOSE(gr, egr);
      COMPARE_CLOSE(gw, ew);
      COMPARE_CLOSE(gb, eb);
    }
  }
  for (const int lanes : {1, 32, 256}) {
    const auto a = at::randn({3, width}), b = at::randn({rows, 3});
    auto norms = at::empty({rows});
    gpu::runRowGroupsOnHost(gpu::UpdatedRowNormsBody<T>{data<T>(x), data<float>(a), data<float>(b), 0.7f, 3, rows, width,
                                                        data<float>(norms)}, lanes);
    COMPARE_CLOSE(norms, op::doraRowNorms(x, a, b, 0.7));
  }
  auto y = at::empty_like(x), g = at::empty_like(x), gWide = at::empty_like(wide);
  for (const auto& shift : {op::OptionalTensor(bias), op::OptionalTensor()}) {
    const float* less = shift ? data<float>(bias) : nullptr;
    auto products = at::empty({width}), sums = at::empty({width});
    gpu::runElementsOnHost(gpu::RescaleBody<T>{data<T>(x), less, data<float>(weight), data<T>(y), width}, x.numel());
    COMPARE_CLOSE(y, op::rescaleColumns(x, shift, weight));
    const auto [eg, ep, es] = op::rescaleColumnsBackward(gradY, x, shift, weight);
    gpu::runElementsOnHost(gpu::RescaleBackwardBody<T>{data<T>(gradY), data<float>(weight), data<T>(g), width}, x.numel());
    gpu::runElementsOnHost(gpu::RescaleSumsBody<T>{data<T>(gradY), data<T>(x), less, data<float>(products),
                                                   data<float>(sums), rows, width}, width);
    COMPARE_CLOSE(g, eg);
    COMPARE_CLOSE(products, ep);
    COMPARE_CLOSE(sums, es);
  }
  gpu::runElementsOnHost(gpu::SwigluBody<T>{data<T>(wide), data<T>(y), width}, x.numel());
  COMPARE_CLOSE(y, op::swiglu(wide));
  gpu::runElementsOnHost(gpu::SwigluBackwardBody<T>{data<T>(gradY), data<T>(wide), data<T>(gWide), width}, x.numel());
  COMPARE_CLOSE(gWide, op::swigluBackward(gradY, wide));
  gpu::runElementsOnHost(gpu::GeluBody<T>{data<T>(x), data<T>(y)}, x.numel());
  COMPARE_CLOSE(y, op::gelu(x));
  gpu::runElementsOnHost(gpu::GeluBackwardBody<T>{data<T>(gradY), data<T>(x), data<T>(g)}, x.numel());
  COMPARE_CLOSE(g, op::geluBackward(gradY, x));
  gpu::runElementsOnHost(gpu::DropoutBody<T>{data<T>(x), data<T>(y), mask}, x.numel());
  COMPARE_CLOSE(y, op::dropout(x, args));
}

}  // namespace

class KernelCudaBodies : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void float32() { checkBodies<float>(at::kFloat, 3e-6); }
  void bfloat16() { checkBodies<c10::BFloat16>(at::kBFloat16, 6e-3); }
  // Without a driver the answer is no, without a message or a crash, and it does not change.
  void loaderAnswersTheSame() { QCOMPARE(loadCudaIfPresent(), loadCudaIfPresent()); }
};

QTEST_GUILESS_MAIN(KernelCudaBodies)
#include "kernel_cuda_bodies.moc"

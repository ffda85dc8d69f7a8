// Row kernels on the GPU: launches of the bodies of row_bodies.cuh, registered for the CUDA key. Built into
// librankscope_cuda.so, which the trainer opens only where a GPU is present.

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <tuple>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/row_bodies.cuh"

namespace rankscope::kernels::cuda {

namespace {

Mask maskOf(double p, int64_t seed, int64_t place) {
  Mask mask;
  if (p <= 0) return mask;
  mask.threshold = std::max(dropThreshold(p), 1u);
  mask.keep = static_cast<float>(1.0 / (1.0 - p));
  mask.seed = static_cast<uint64_t>(seed);
  mask.place = static_cast<uint64_t>(place);
  return mask;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> rmsNorm(const at::Tensor& x, const OptionalTensor& residual,
                                                       const at::Tensor& weight, double eps) {
  const auto width = x.size(-1), rows = x.numel() / width;
  TORCH_CHECK(x.is_contiguous() && weight.numel() == width && weight.scalar_type() == at::kFloat, "rms_norm: weight");
  auto y = at::empty_like(x), sum = residual ? at::empty_like(x) : at::empty({0}, x.options());
  auto rstd = at::empty({rows}, x.options().dtype(at::kFloat));
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchRows(RmsNormBody<T>{data<T>(x), data<T>(residual), data<float>(weight), data<T>(sum), data<T>(y),
                              data<float>(rstd), static_cast<float>(eps), width},
               rows);
  });
  return {y, sum, rstd};
}

std::tuple<at::Tensor, at::Tensor> rmsNormBackward(const at::Tensor& gradY, const OptionalTensor& gradSum,
                                                   const at::Tensor& sum, const at::Tensor& weight,
                                                   const at::Tensor& rstd, bool weightGrad) {
  const auto width = sum.size(-1), rows = sum.numel() / width;
  auto grad = at::empty_like(sum), gradWeight = at::empty({weightGrad ? width : 0}, rstd.options());
  withType(sum, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchRows(RmsNormBackwardBody<T>{data<T>(gradY), data<T>(gradSum), data<T>(sum), data<float>(weight),
                                      data<float>(rstd), data<T>(grad), width},
               rows);
    if (weightGrad)
      launchElements(NormWeightBody<T>{data<T>(gradY), data<T>(sum), nullptr, data<float>(rstd),
                                       data<float>(gradWeight), nullptr, rows, width},
                     width);
  });
  return {grad, gradWeight};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> layerNorm(const at::Tensor& x,
                                                                     const OptionalTensor& residual,
                                                                     const at::Tensor& weight, const at::Tensor& bias,
                                                                     double eps, double p, int64_t seed,
                                                                     int64_t place) {
  const auto width = x.size(-1), rows = x.numel() / width;
  const bool summed = residual || p > 0;
  auto y = at::empty_like(x), sum = summed ? at::empty_like(x) : at::empty({0}, x.options());
  auto mean = at::empty({rows}, x.options().dtype(at::kFloat)), rstd = at::empty_like(mean);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchRows(LayerNormBody<T>{data<T>(x), data<T>(residual), data<float>(weight), data<float>(bias),
                                maskOf(p, seed, place), summed ? data<T>(sum) : nullptr, data<T>(y),
                                data<float>(mean), data<float>(rstd), static_cast<float>(eps), width},
               rows);
  });
  return {y, sum, mean, rstd};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> layerNormBackward(
    const at::Tensor& gradY, const at::Tensor& sum, const at::Tensor& weight, const at::Tensor& mean,
    const at::Tensor& rstd, double p, int64_t seed, int64_t place, bool weightGrad) {
  const auto width = sum.size(-1), rows = sum.numel() / width;
  auto gradResidual = at::empty_like(sum), gradX = p > 0 ? at::empty_like(sum) : gradResidual.alias();
  auto gradWeight = at::empty({weightGrad ? width : 0}, rstd.options()), gradBias = at::empty_like(gradWeight);
  withType(sum, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchRows(LayerNormBackwardBody<T>{data<T>(gradY), data<T>(sum), data<float>(weight), data<float>(mean),
                                        data<float>(rstd), maskOf(p, seed, place), data<T>(gradX),
                                        data<T>(gradResidual), width},
               rows);
    if (weightGrad)
      launchElements(NormWeightBody<T>{data<T>(gradY), data<T>(sum), data<float>(mean), data<float>(rstd),
                                       data<float>(gradWeight), data<float>(gradBias), rows, width},
                     width);
  });
  return {gradX, gradResidual, gradWeight, gradBias};
}

at::Tensor swiglu(const at::Tensor& gateUp) {
  auto sizes = gateUp.sizes().vec();
  const auto width = sizes.back() /= 2;
  auto y = at::empty(sizes, gateUp.options());
  withType(gateUp, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchElements(SwigluBody<T>{data<T>(gateUp), data<T>(y), width}, y.numel());
  });
  return y;
}

at::Tensor swigluBackward(const at::Tensor& gradY, const at::Tensor& gateUp) {
  auto grad = at::empty_like(gateUp);
  withType(gateUp, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchElements(SwigluBackwardBody<T>{data<T>(gradY), data<T>(gateUp), data<T>(grad), gateUp.size(-1) / 2},
                   gradY.numel());
  });
  return grad;
}

at::Tensor gelu(const at::Tensor& x) {
  auto y = at::empty_like(x);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchElements(GeluBody<T>{data<T>(x), data<T>(y)}, x.numel());
  });
  return y;
}

at::Tensor geluBackward(const at::Tensor& gradY, const at::Tensor& x) {
  auto grad = at::empty_like(x);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchElements(GeluBackwardBody<T>{data<T>(gradY), data<T>(x), data<T>(grad)}, x.numel());
  });
  return grad;
}

at::Tensor dropout(const at::Tensor& x, double p, int64_t seed, int64_t place) {
  auto y = at::empty_like(x);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchElements(DropoutBody<T>{data<T>(x), data<T>(y), maskOf(p, seed, place)}, x.numel());
  });
  return y;
}

}  // namespace

}  // namespace rankscope::kernels::cuda

TORCH_LIBRARY_IMPL(rankscope, CUDA, m) {
  namespace gpu = rankscope::kernels::cuda;  // not ::cuda, which the toolkit's headers declare
  m.impl("rms_norm", gpu::rmsNorm);
  m.impl("rms_norm_backward", gpu::rmsNormBackward);
  m.impl("layer_norm", gpu::layerNorm);
  m.impl("layer_norm_backward", gpu::layerNormBackward);
  m.impl("swiglu", gpu::swiglu);
  m.impl("swiglu_backward", gpu::swigluBackward);
  m.impl("gelu", gpu::gelu);
  m.impl("gelu_backward", gpu::geluBackward);
  m.impl("dropout", gpu::dropout);
}

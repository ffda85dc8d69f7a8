// Norms, SwiGLU, GELU and dropout on the CPU: rows split over threads, the loops in kernels/cpu/simd. Sums over rows
// (gradients of norm weights) are taken per fixed share of the rows and joined in order, so that they do not depend on
// how threads happen to run.

#include <torch/library.h>

#include "kernels/cpu/row_support.h"
#include "kernels/cpu/simd/row_kernels.h"
#include "kernels/philox.h"
#include "kernels/registered.h"

namespace rankscope::kernels::cpu {

namespace {

using op::OptionalTensor;

simd::DropoutSpec spec(double p, int64_t seed, int64_t place) {
  simd::DropoutSpec s;
  if (p <= 0) return s;
  s.threshold = std::max(dropThreshold(p), 1u);
  s.keep = static_cast<float>(1.0 / (1.0 - p));
  s.seed = static_cast<uint64_t>(seed);
  s.place = static_cast<uint64_t>(place);
  return s;
}

void checkRows(const at::Tensor& x, const char* name) {
  TORCH_CHECK(x.dim() >= 1 && x.is_contiguous() && x.size(-1) > 0, name, ": rows of at least one element are expected");
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> rmsNorm(const at::Tensor& x, const OptionalTensor& residual,
                                                       const at::Tensor& weight, double eps) {
  checkRows(x, "rms_norm");
  const auto width = x.size(-1), rows = x.numel() / width;
  TORCH_CHECK(weight.numel() == width && weight.scalar_type() == at::kFloat, "rms_norm: weight ", weight.sizes());
  if (residual) TORCH_CHECK(residual->sizes() == x.sizes() && residual->scalar_type() == x.scalar_type(), "rms_norm: residual");
  auto y = at::empty_like(x), sum = residual ? at::empty_like(x) : at::empty({0}, x.options());
  auto rstd = at::empty({rows}, x.options().dtype(at::kFloat));
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* other = residual ? data<T>(*residual) : nullptr;
    at::parallel_for(0, rows, grain(width), [&](int64_t begin, int64_t end) {
      simd::rowKernels<T>().rmsNorm(data<T>(x), other, data<float>(weight), static_cast<float>(eps), begin, end, width,
                                    data<T>(sum), data<T>(y), data<float>(rstd));
    });
  });
  return {y, sum, rstd};
}

std::tuple<at::Tensor, at::Tensor> rmsNormBackward(const at::Tensor& gradY, const OptionalTensor& gradSum,
                                                   const at::Tensor& sum, const at::Tensor& weight,
                                                   const at::Tensor& rstd, bool weightGrad) {
  const auto width = sum.size(-1), rows = sum.numel() / width;
  auto grad = at::empty_like(sum);
  const auto shares = weightGrad ? shareCount() : 0;
  auto partial = at::zeros({std::max<int64_t>(shares, 1), weightGrad ? width : 0}, rstd.options());
  withType(sum, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* other = gradSum ? data<T>(*gradSum) : nullptr;
    const auto run = [&](int64_t begin, int64_t end, float* weightSum) {
      simd::rowKernels<T>().rmsNormBackward(data<T>(gradY), other, data<T>(sum), data<float>(weight),
                                            data<float>(rstd), begin, end, width, data<T>(grad), weightSum);
    };
    if (!weightGrad) {
      at::parallel_for(0, rows, grain(width), [&](int64_t begin, int64_t end) { run(begin, end, nullptr); });
      return;
    }
    at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
      for (auto s = first; s < last; ++s) run(rows * s / shares, rows * (s + 1) / shares, data<float>(partial) + s * width);
    });
  });
  return {grad, weightGrad ? partial.sum(0) : partial};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> layerNorm(const at::Tensor& x,
                                                                     const OptionalTensor& residual,
                                                                     const at::Tensor& weight, const at::Tensor& bias,
                                                                     double eps, double p, int64_t seed,
                                                                     int64_t place) {
  checkRows(x, "layer_norm");
  const auto width = x.size(-1), rows = x.numel() / width;
  TORCH_CHECK(weight.numel() == width && bias.numel() == width && weight.scalar_type() == at::kFloat &&
                  bias.scalar_type() == at::kFloat,
              "layer_norm: weight ", weight.sizes(), ", bias ", bias.sizes());
  const bool summed = residual || p > 0;
  auto y = at::empty_like(x), sum = summed ? at::empty_like(x) : at::empty({0}, x.options());
  auto mean = at::empty({rows}, x.options().dtype(at::kFloat)), rstd = at::empty_like(mean);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* other = residual ? data<T>(*residual) : nullptr;
    at::parallel_for(0, rows, grain(width), [&](int64_t begin, int64_t end) {
      simd::rowKernels<T>().layerNorm(data<T>(x), other, data<float>(weight), data<float>(bias),
                                      static_cast<float>(eps), spec(p, seed, place), begin, end, width, data<T>(sum),
                                      data<T>(y), data<float>(mean), data<float>(rstd));
    });
  });
  return {y, sum, mean, rstd};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> layerNormBackward(
    const at::Tensor& gradY, const at::Tensor& sum, const at::Tensor& weight, const at::Tensor& mean,
    const at::Tensor& rstd, double p, int64_t seed, int64_t place, bool weightGrad) {
  const auto width = sum.size(-1), rows = sum.numel() / width;
  auto gradResidual = at::empty_like(sum), gradX = p > 0 ? at::empty_like(sum) : gradResidual;
  const auto shares = shareCount();
  auto partial = at::zeros({2, shares, weightGrad ? width : 0}, rstd.options());
  withType(sum, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
      for (auto s = first; s < last; ++s) {
        float* weightSum = weightGrad ? data<float>(partial) + s * width : nullptr;
        simd::rowKernels<T>().layerNormBackward(
            data<T>(gradY), data<T>(sum), data<float>(weight), data<float>(mean), data<float>(rstd),
            spec(p, seed, place), rows * s / shares, rows * (s + 1) / shares, width, data<T>(gradX),
            data<T>(gradResidual), weightSum, weightGrad ? weightSum + shares * width : nullptr);
      }
    });
  });
  // Two outputs may not be one tensor.
  if (p <= 0) gradX = gradResidual.alias();
  const auto sums = partial.sum(1);
  return {gradX, gradResidual, sums.select(0, 0), sums.select(0, 1)};
}

at::Tensor swiglu(const at::Tensor& gateUp) {
  checkRows(gateUp, "swiglu");
  TORCH_CHECK(gateUp.size(-1) % 2 == 0, "swiglu: rows hold gate and up side by side, not ", gateUp.size(-1));
  const auto width = gateUp.size(-1) / 2, rows = gateUp.numel() / (2 * width);
  auto sizes = gateUp.sizes().vec();
  sizes.back() = width;
  auto y = at::empty(sizes, gateUp.options());
  withType(gateUp, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    at::parallel_for(0, rows, grain(width), [&](int64_t begin, int64_t end) {
      simd::rowKernels<T>().swiglu(data<T>(gateUp), begin, end, width, data<T>(y));
    });
  });
  return y;
}

at::Tensor swigluBackward(const at::Tensor& gradY, const at::Tensor& gateUp) {
  const auto width = gateUp.size(-1) / 2, rows = gateUp.numel() / (2 * width);
  auto grad = at::empty_like(gateUp);
  withType(gateUp, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    at::parallel_for(0, rows, grain(width), [&](int64_t begin, int64_t end) {
      simd::rowKernels<T>().swigluBackward(data<T>(gradY), data<T>(gateUp), begin, end, width, data<T>(grad));
    });
  });
  return grad;
}

// Flat arrays, split at multiples of four elements (dropout draws four at a time).
template <typename F>
void overElements(int64_t count, const F& f) {
  at::parallel_for(0, (count + 3) / 4, kElementsPerTask / 4, [&](int64_t begin, int64_t end) {
    f(begin * 4, std::min(end * 4, count));
  });
}

at::Tensor gelu(const at::Tensor& x) {
  auto y = at::empty_like(x);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    overElements(x.numel(), [&](int64_t b, int64_t e) { simd::rowKernels<T>().gelu(data<T>(x), b, e, data<T>(y)); });
  });
  return y;
}

at::Tensor geluBackward(const at::Tensor& gradY, const at::Tensor& x) {
  auto grad = at::empty_like(x);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    overElements(x.numel(), [&](int64_t b, int64_t e) {
      simd::rowKernels<T>().geluBackward(data<T>(gradY), data<T>(x), b, e, data<T>(grad));
    });
  });
  return grad;
}

at::Tensor dropout(const at::Tensor& x, double p, int64_t seed, int64_t place) {
  auto y = at::empty_like(x);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    overElements(x.numel(), [&](int64_t b, int64_t e) {
      simd::rowKernels<T>().dropout(data<T>(x), spec(p, seed, place), b, e, data<T>(y));
    });
  });
  return y;
}

}  // namespace

// Called from register.cpp so that a static library keeps this file.
void registerRows(torch::Library& m) {
  m.impl("rms_norm", rmsNorm);
  m.impl("rms_norm_backward", rmsNormBackward);
  m.impl("layer_norm", layerNorm);
  m.impl("layer_norm_backward", layerNormBackward);
  m.impl("swiglu", swiglu);
  m.impl("swiglu_backward", swigluBackward);
  m.impl("gelu", gelu);
  m.impl("gelu_backward", geluBackward);
  m.impl("dropout", dropout);
}

}  // namespace rankscope::kernels::cpu

#include "core/models/linear_site.h"

#include "kernels/ops.h"

namespace rankscope {

namespace {

at::Tensor convolved(const at::Tensor& x, const at::Tensor& kernels, const at::Tensor& bias, int64_t stride,
                     int64_t padding) {
  return at::conv2d(x, kernels.to(x.scalar_type()), bias, at::IntArrayRef{stride, stride},
                    at::IntArrayRef{padding, padding});
}

}  // namespace

const char* operationName(SiteOperation operation) {
  switch (operation) {
    case SiteOperation::Convolution: return "convolution";
    case SiteOperation::Embedding: return "embedding";
    case SiteOperation::Linear: break;
  }
  return "linear";
}

SiteShape convolutionSite(std::string name, std::string kind, int64_t layer, int64_t outChannels,
                          const ConvolutionShape& shape) {
  SiteShape site{std::move(name), std::move(kind), layer, shape.channels * shape.kernel * shape.kernel, outChannels};
  site.operation = SiteOperation::Convolution;
  site.convolution = shape;
  return site;
}

SiteShape embeddingSite(std::string name, int64_t vocabulary, int64_t width) {
  std::string kind = name.substr(name.rfind('.') + 1);
  SiteShape site{std::move(name), std::move(kind), -1, vocabulary, width};
  site.operation = SiteOperation::Embedding;
  return site;
}

std::vector<int64_t> SiteShape::parameterShape() const {
  if (operation == SiteOperation::Convolution)
    return {outFeatures, convolution.channels, convolution.kernel, convolution.kernel};
  if (operation == SiteOperation::Embedding || transposed) return {inFeatures, outFeatures};
  return {outFeatures, inFeatures};
}

at::Tensor SiteShape::matrixOf(const at::Tensor& parameter) const {
  if (operation == SiteOperation::Convolution) return parameter.flatten(1);
  return operation == SiteOperation::Embedding || transposed ? parameter.t() : parameter;
}

at::Tensor SiteShape::parameterOf(const at::Tensor& matrix) const {
  if (operation == SiteOperation::Convolution)
    return matrix.reshape({matrix.size(0), convolution.channels, convolution.kernel, convolution.kernel});
  // Lookups read rows of the vocabulary.
  if (operation == SiteOperation::Embedding) return matrix.t().contiguous();
  return transposed ? matrix.t() : matrix;
}

at::Tensor LinearSite::forward(const at::Tensor& x, ForwardContext& context) const {
  return adapter ? adapter->forward(*this, x, context) : baseForward(x);
}

at::Tensor LinearSite::baseForward(const at::Tensor& x) const {
  switch (operation) {
    case SiteOperation::Convolution:
      return convolved(x, parameterOf(weight), bias.defined() ? bias.to(x.scalar_type()) : bias, convolution.stride,
                       convolution.padding);
    case SiteOperation::Embedding: return through(x, weight);
    case SiteOperation::Linear: break;
  }
  return coded.defined() ? kernels::fourBitLoraLinear(x, coded, bias, {}, {}, 1.0, 0.0, 0, 0)
                         : kernels::linear(x, weight, bias);
}

at::Tensor LinearSite::through(const at::Tensor& x, const at::Tensor& matrix) const {
  switch (operation) {
    case SiteOperation::Convolution:
      return convolved(x, parameterOf(matrix), {}, convolution.stride, convolution.padding);
    case SiteOperation::Embedding: return at::embedding(matrix.t(), x, paddingRow);
    case SiteOperation::Linear: break;
  }
  return at::linear(x, matrix.to(x.scalar_type()));
}

at::Tensor LinearSite::spread(const at::Tensor& x, const at::Tensor& b) const {
  if (operation == SiteOperation::Convolution) return convolved(x, b.view({b.size(0), b.size(1), 1, 1}), {}, 1, 0);
  return at::linear(x, b.to(x.scalar_type()));
}

void LinearSite::addWeightGradient(at::Tensor& sum, const at::Tensor& x, const at::Tensor& gradient) const {
  const at::NoGradGuard noGrad;
  const at::Tensor wide = gradient.to(sum.scalar_type());
  switch (operation) {
    case SiteOperation::Convolution: {
      const int64_t s = convolution.stride, p = convolution.padding;
      const auto parts = at::convolution_backward(wide, x.to(sum.scalar_type()), parameterOf(sum), at::OptionalIntArrayRef(),
                                                  at::IntArrayRef{s, s}, at::IntArrayRef{p, p}, at::IntArrayRef{1, 1},
                                                  false, at::IntArrayRef{0, 0}, 1, {false, true, false});
      sum.add_(matrixOf(std::get<1>(parts)));
      return;
    }
    case SiteOperation::Embedding:
      sum.add_(at::embedding_dense_backward(wide, x, inFeatures, paddingRow, false).t());
      return;
    case SiteOperation::Linear: break;
  }
  sum.addmm_(wide.t(), x.to(sum.scalar_type()));
}

at::Tensor LinearSite::denseWeight() const {
  return coded.defined() ? kernels::dequantiseFourBit(coded, at::kFloat) : weight.detach();
}

}  // namespace rankscope

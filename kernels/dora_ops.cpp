#include "kernels/dora_ops.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/registered.h"

namespace rankscope::kernels {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Copies of a weight's rows exist for so many elements at a time.
constexpr int64_t kBlockElements = 1 << 20;

template <typename Use>
void forRowBlocks(const at::Tensor& matrix, const Use& use) {
  const int64_t rows = std::max<int64_t>(1, kBlockElements / std::max<int64_t>(1, matrix.size(1)));
  for (int64_t first = 0; first < matrix.size(0); first += rows)
    use(first, matrix.narrow(0, first, std::min(rows, matrix.size(0) - first)));
}

bool hasKernel(const at::Tensor& t) { return t.scalar_type() == at::kFloat || t.scalar_type() == at::kBFloat16; }

at::Tensor wide(const at::Tensor& t) { return t.detach().to(at::kFloat).contiguous(); }

class RescaleColumns : public torch::autograd::Function<RescaleColumns> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& y, const std::optional<at::Tensor>& bias,
                            const at::Tensor& magnitude, const at::Tensor& norm) {
    const at::Tensor rows = y.contiguous(), excess = wide(magnitude / norm - 1);
    const std::optional<at::Tensor> shift = bias ? std::optional(wide(*bias)) : std::nullopt;
    ctx->save_for_backward({rows, shift ? *shift : at::Tensor(), excess, norm});
    ctx->saved_data["bias type"] = static_cast<int64_t>(bias ? bias->scalar_type() : at::kFloat);
    return op::rescaleColumns(rows, shift, excess);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &y = saved[0], &shift = saved[1], &excess = saved[2], &norm = saved[3];
    const bool biased = shift.defined();
    const auto [gradY, products, sums] =
        op::rescaleColumnsBackward(grads[0].contiguous(), y, biased ? std::optional(shift) : std::nullopt, excess);
    const size_t magnitudeAt = biased ? 2 : 1;  // inputs are numbered without an absent bias
    variable_list result(4);
    result[0] = gradY;
    if (biased && ctx->needs_input_grad(1))
      result[1] = (sums * excess).neg_().to(static_cast<at::ScalarType>(ctx->saved_data["bias type"].toInt()));
    if (ctx->needs_input_grad(magnitudeAt)) result[2] = products / norm;
    return result;
  }
};

constexpr double kSmallestNorm = static_cast<double>(std::numeric_limits<float>::min());

}  // namespace

at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling) {
  const at::NoGradGuard noGrad;
  const at::Tensor w = weight.detach(), down = a.detach().contiguous(), up = b.detach().contiguous();
  const bool kernel = hasKernel(w) && down.scalar_type() == at::kFloat;
  if (kernel && w.is_contiguous()) return op::doraRowNorms(w, down, up, scaling).clamp_min_(kSmallestNorm);
  at::Tensor norms = at::empty({w.size(0)}, down.options());
  forRowBlocks(w, [&](int64_t first, const at::Tensor& rows) {
    const at::Tensor left = up.narrow(0, first, rows.size(0));
    norms.narrow(0, first, rows.size(0))
        .copy_(kernel ? op::doraRowNorms(rows.contiguous(), down, left, scaling)
                      : reference::doraRowNorms(rows, down, left, scaling));
  });
  return norms.clamp_min_(kSmallestNorm);
}

double doraUpdateNorm(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling,
                      const at::Tensor& magnitude) {
  const at::NoGradGuard noGrad;
  // Rounded as the forward pass rounds it: where nothing has moved, the share is 1 exactly.
  const at::Tensor norm = doraRowNorms(weight, a, b, scaling).to(magnitude.scalar_type());
  const at::Tensor share = magnitude.detach().to(at::kDouble) / norm.to(at::kDouble), excess = share - 1;
  double squares = 0;
  forRowBlocks(weight.detach(), [&](int64_t first, const at::Tensor& rows) {
    const auto ofRows = [&](const at::Tensor& t) { return t.narrow(0, first, rows.size(0)).to(a.scalar_type()).unsqueeze(1); };
    const at::Tensor update = b.detach().narrow(0, first, rows.size(0)).mm(a.detach()).mul_(ofRows(share * scaling));
    const double moved = at::linalg_vector_norm(update.addcmul_(rows.to(a.scalar_type()), ofRows(excess)), 2, std::nullopt,
                                                false, at::kDouble)
                             .item<double>();
    squares += moved * moved;
  });
  return std::sqrt(squares);
}

at::Tensor rescaleColumns(const at::Tensor& y, const at::Tensor& bias, const at::Tensor& magnitude,
                          const at::Tensor& norm) {
  if (!hasKernel(y)) return reference::rescaleColumns(y, bias, magnitude, norm);
  return RescaleColumns::apply(y, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, magnitude, norm);
}

}  // namespace rankscope::kernels

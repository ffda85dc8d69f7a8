#include "kernels/dora_ops.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace rankscope::kernels {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Widened copies of a weight or an activation exist for one block of rows at a time.
constexpr int64_t kBlockElements = 1 << 20;

template <typename Use>
void forRowBlocks(const at::Tensor& matrix, const Use& use) {
  const int64_t rows = std::max<int64_t>(1, kBlockElements / std::max<int64_t>(1, matrix.size(1)));
  for (int64_t first = 0; first < matrix.size(0); first += rows)
    use(first, matrix.narrow(0, first, std::min(rows, matrix.size(0) - first)));
}

at::Tensor withoutBias(const at::Tensor& y, const at::Tensor& bias) {
  return bias.defined() ? y - bias.to(y.scalar_type()) : y;
}

class RescaleColumns : public torch::autograd::Function<RescaleColumns> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& y, const std::optional<at::Tensor>& bias,
                            const at::Tensor& magnitude, const at::Tensor& norm) {
    const at::Tensor shift = bias ? *bias : at::Tensor();
    // c − 1 rather than c: in bfloat16 c itself would be rounded to multiples of 2^-8.
    const at::Tensor excess = (magnitude / norm).sub_(1).to(y.scalar_type());
    ctx->save_for_backward({y, shift, excess, norm});
    return at::addcmul(y, withoutBias(y, shift), excess);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &y = saved[0], &bias = saved[1], &excess = saved[2], &norm = saved[3];
    const at::Tensor grad = grads[0].contiguous();
    const size_t magnitudeAt = bias.defined() ? 2 : 1;  // inputs are numbered without an absent bias
    variable_list result(4);
    if (ctx->needs_input_grad(0)) result[0] = at::addcmul(grad, grad, excess);
    if (bias.defined() && ctx->needs_input_grad(1))
      result[1] = (grad * excess).sum(0, false, norm.scalar_type()).neg_().to(bias.scalar_type());
    if (ctx->needs_input_grad(magnitudeAt)) {
      at::Tensor sum = at::zeros_like(norm);
      const at::Tensor shift = bias.defined() ? bias.to(norm.scalar_type()) : at::Tensor();
      forRowBlocks(y, [&](int64_t first, const at::Tensor& rows) {
        const at::Tensor wide = rows.to(norm.scalar_type());
        sum.add_((shift.defined() ? wide - shift : wide)
                     .mul(grad.narrow(0, first, rows.size(0)).to(norm.scalar_type()))
                     .sum(0));
      });
      result[2] = sum.div_(norm);
    }
    return result;
  }
};

// Of every row: 2 s b_i·(W Aᵀ)_i, and s² b_i (A Aᵀ) b_iᵀ = ‖s b_i A‖². float64.
struct UpdateSquares {
  at::Tensor cross, own;
};

UpdateSquares updateSquares(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling) {
  const at::Tensor down = a.detach(), up = b.detach().to(at::kDouble);
  const at::Tensor gram = down.mm(down.t()).to(at::kDouble);
  return {timesTransposed(weight, down).to(at::kDouble).mul(up).sum(1).mul_(2 * scaling),
          up.mm(gram).mul_(up).sum(1).mul_(scaling * scaling)};
}

at::Tensor normOf(const at::Tensor& squares, const UpdateSquares& update) {
  return (squares + update.cross).add_(update.own).clamp_min_(0).sqrt_();
}

constexpr double kSmallestNorm = static_cast<double>(std::numeric_limits<float>::min());

}  // namespace

at::Tensor rowSquares(const at::Tensor& weight) {
  const at::NoGradGuard noGrad;
  at::Tensor squares = at::empty({weight.size(0)}, weight.options().dtype(at::kDouble).requires_grad(false));
  forRowBlocks(weight.detach(), [&](int64_t first, const at::Tensor& rows) {
    squares.narrow(0, first, rows.size(0)).copy_(rows.to(at::kDouble).square().sum(1));
  });
  return squares;
}

at::Tensor timesTransposed(const at::Tensor& weight, const at::Tensor& a) {
  const at::NoGradGuard noGrad;
  const at::Tensor w = weight.detach(), factor = a.detach();
  if (w.scalar_type() == factor.scalar_type()) return w.mm(factor.t());
  at::Tensor out = at::empty({w.size(0), factor.size(0)}, factor.options().requires_grad(false));
  forRowBlocks(w, [&](int64_t first, const at::Tensor& rows) {
    at::Tensor part = out.narrow(0, first, rows.size(0));
    at::mm_out(part, rows.to(factor.scalar_type()), factor.t());
  });
  return out;
}

at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& squares, const at::Tensor& a, const at::Tensor& b,
                        double scaling) {
  const at::NoGradGuard noGrad;
  return normOf(squares, updateSquares(weight, a, b, scaling)).to(a.scalar_type()).clamp_min_(kSmallestNorm);
}

double doraUpdateNorm(const at::Tensor& weight, const at::Tensor& squares, const at::Tensor& a, const at::Tensor& b,
                      double scaling, const at::Tensor& magnitude) {
  const at::NoGradGuard noGrad;
  const UpdateSquares update = updateSquares(weight, a, b, scaling);
  // Rounded as the forward pass rounds it: where nothing has moved, the share is 1 exactly.
  const at::Tensor norm = normOf(squares, update).to(magnitude.scalar_type()).clamp_min_(kSmallestNorm);
  const at::Tensor share = magnitude.detach().to(at::kDouble) / norm.to(at::kDouble);
  const at::Tensor excess = share - 1;
  const at::Tensor rows = excess.square() * squares + excess * share * update.cross + share.square() * update.own;
  return std::sqrt(std::max(0.0, rows.sum().item<double>()));
}

at::Tensor rescaleColumns(const at::Tensor& y, const at::Tensor& bias, const at::Tensor& magnitude,
                          const at::Tensor& norm) {
  return RescaleColumns::apply(y, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, magnitude, norm);
}

}  // namespace rankscope::kernels

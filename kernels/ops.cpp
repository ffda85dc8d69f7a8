#include "kernels/ops.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/philox.h"
#include "kernels/reference/reference.h"
#include "kernels/registered.h"

namespace rankscope::kernels {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using OptionalTensor = std::optional<at::Tensor>;

// Operators compute in float32 or bfloat16; anything else (float64 in gradient checks) goes to the composites.
bool supported(const at::Tensor& x) { return x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16; }

OptionalTensor maybe(const at::Tensor& t) { return t.defined() ? OptionalTensor(t) : std::nullopt; }
at::Tensor orUndefined(const OptionalTensor& t) { return t ? *t : at::Tensor(); }
at::Tensor floatOf(const at::Tensor& t) { return t.to(at::kFloat).contiguous(); }
at::Tensor orUndefinedIf(const at::Tensor& t, bool keep) { return keep ? t : at::Tensor(); }

op::MaskArgs maskArgs(double p, uint64_t seed, uint64_t place) {
  TORCH_CHECK(p >= 0 && p < 1, "dropout probability ", p, " is not in [0, 1)");
  return {p, static_cast<int64_t>(seed), static_cast<int64_t>(place)};
}

void saveMask(AutogradContext* ctx, const op::MaskArgs& mask) {
  ctx->saved_data["p"] = mask.p;
  ctx->saved_data["seed"] = mask.seed;
  ctx->saved_data["place"] = mask.place;
}
op::MaskArgs savedMask(AutogradContext* ctx) {
  return {ctx->saved_data["p"].toDouble(), ctx->saved_data["seed"].toInt(), ctx->saved_data["place"].toInt()};
}

class Dropout : public torch::autograd::Function<Dropout> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const op::MaskArgs& mask) {
    saveMask(ctx, mask);
    return op::dropout(x.contiguous(), mask);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {op::dropout(grads[0].contiguous(), savedMask(ctx)), {}};
  }
};

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x, const OptionalTensor& residual,
                               const at::Tensor& weight, double eps) {
    const auto in = x.contiguous();
    auto [y, sum, rstd] = op::rmsNorm(in, residual ? OptionalTensor(residual->contiguous()) : residual, floatOf(weight), eps);
    ctx->save_for_backward({residual ? sum : in, weight, rstd});
    ctx->saved_data["residual"] = residual.has_value();
    ctx->set_materialize_grads(false);
    if (!residual) return {y};
    return {y, sum};
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const bool hasResidual = ctx->saved_data["residual"].toBool();
    const auto gradSum = hasResidual && grads[1].defined() ? OptionalTensor(grads[1].contiguous()) : std::nullopt;
    if (!grads[0].defined()) {
      const auto only = orUndefined(gradSum);
      return {only, only, at::Tensor(), at::Tensor()};
    }
    // Inputs are numbered without the residual where there is none.
    const bool weightGrad = ctx->needs_input_grad(hasResidual ? 2 : 1);
    auto [grad, gradWeight] = op::rmsNormBackward(grads[0].contiguous(), gradSum, saved[0], floatOf(saved[1]), saved[2], weightGrad);
    if (weightGrad) gradWeight = gradWeight.to(saved[1].scalar_type());
    return {grad, hasResidual ? grad : at::Tensor(), orUndefinedIf(gradWeight, weightGrad), at::Tensor()};
  }
};

class LayerNorm : public torch::autograd::Function<LayerNorm> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const OptionalTensor& residual,
                            const at::Tensor& weight, const at::Tensor& bias, double eps, const op::MaskArgs& mask) {
    const auto in = x.contiguous();
    auto [y, sum, mean, rstd] = op::layerNorm(
        in, residual ? OptionalTensor(residual->contiguous()) : residual, floatOf(weight), floatOf(bias), eps, mask);
    ctx->save_for_backward({residual || mask.p > 0 ? sum : in, weight, mean, rstd});
    ctx->saved_data["residual"] = residual.has_value();
    saveMask(ctx, mask);
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const bool hasResidual = ctx->saved_data["residual"].toBool();
    const size_t first = hasResidual ? 2 : 1;
    const bool weightGrad = ctx->needs_input_grad(first) || ctx->needs_input_grad(first + 1);
    auto [gradX, gradResidual, gradWeight, gradBias] = op::layerNormBackward(
        grads[0].contiguous(), saved[0], floatOf(saved[1]), saved[2], saved[3], savedMask(ctx), weightGrad);
    if (weightGrad) {
      gradWeight = gradWeight.to(saved[1].scalar_type());
      gradBias = gradBias.to(saved[1].scalar_type());
    }
    return {gradX, orUndefinedIf(gradResidual, hasResidual), orUndefinedIf(gradWeight, weightGrad),
            orUndefinedIf(gradBias, weightGrad), at::Tensor(), at::Tensor()};
  }
};

class Swiglu : public torch::autograd::Function<Swiglu> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gateUp) {
    const auto in = gateUp.contiguous();
    ctx->save_for_backward({in});
    return op::swiglu(in);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {op::swigluBackward(grads[0].contiguous(), ctx->get_saved_variables()[0])};
  }
};

class Gelu : public torch::autograd::Function<Gelu> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x) {
    const auto in = x.contiguous();
    ctx->save_for_backward({in});
    return op::gelu(in);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    return {op::geluBackward(grads[0].contiguous(), ctx->get_saved_variables()[0])};
  }
};

class Attention : public torch::autograd::Function<Attention> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const std::vector<int64_t>& starts,
                            const OptionalTensor& cos, const OptionalTensor& sin, const op::AttentionArgs& args) {
    const auto in = qkv.contiguous();
    auto [out, logSums] = op::attention(in, starts, cos, sin, args);
    ctx->save_for_backward({in, out, logSums, orUndefined(cos), orUndefined(sin)});
    ctx->saved_data["starts"] = c10::List<int64_t>(starts);
    ctx->saved_data["shape"] = c10::List<int64_t>({args.heads, args.kvHeads, args.headDim, args.causal ? 1 : 0, args.window});
    ctx->saved_data["scale"] = args.scale;
    saveMask(ctx, args.mask);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto shape = ctx->saved_data["shape"].toIntVector(), starts = ctx->saved_data["starts"].toIntVector();
    op::AttentionArgs args{shape[0], shape[1], shape[2], shape[3] != 0, ctx->saved_data["scale"].toDouble(),
                           savedMask(ctx), shape[4]};
    auto grad = op::attentionBackward(grads[0].contiguous(), saved[0], saved[1], saved[2], starts, maybe(saved[3]),
                                      maybe(saved[4]), args);
    return {grad, {}, {}, {}, {}};
  }
};

struct Pairs {
  std::vector<int64_t> rows;
  std::vector<double> scalings;
  op::MaskArgs mask;
};

void saveWeight(AutogradContext* ctx, const op::FrozenWeight& weight) {
  if (weight.coded.empty()) {
    ctx->saved_data["weight"] = weight.plain;
    return;
  }
  ctx->saved_data["parts"] = c10::List<at::Tensor>(op::fourBitParts(weight.coded));
  ctx->saved_data["shape"] = c10::List<int64_t>(op::fourBitShape(weight.coded));
}
op::FrozenWeight savedWeight(AutogradContext* ctx) {
  if (const auto plain = ctx->saved_data.find("weight"); plain != ctx->saved_data.end())
    return plain->second.toTensor();
  return op::fourBitOfParts(ctx->saved_data["parts"].toTensorVector(), ctx->saved_data["shape"].toIntVector());
}

// Inputs in order: x, bias (when there is one), all A, all B. The weight is frozen and kept by reference only.
class LowRankLinear : public torch::autograd::Function<LowRankLinear> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const OptionalTensor& bias, at::TensorList a,
                            at::TensorList b, const op::FrozenWeight* weight, const Pairs& pairs) {
    const auto in = x.contiguous();
    auto [y, u] = op::lowRankLinear(in, *weight, bias, {a, b, pairs.rows, pairs.scalings, pairs.mask});
    variable_list kept{a.empty() ? at::Tensor() : in, u};
    for (const auto& t : a) kept.push_back(t);
    for (const auto& t : b) kept.push_back(t);
    ctx->save_for_backward(std::move(kept));
    saveWeight(ctx, *weight);
    ctx->saved_data["rows"] = c10::List<int64_t>(pairs.rows);
    ctx->saved_data["scalings"] = c10::List<double>(pairs.scalings);
    ctx->saved_data["bias"] = bias.has_value();
    saveMask(ctx, pairs.mask);
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto count = (saved.size() - 2) / 2;
    const std::vector<at::Tensor> a(saved.begin() + 2, saved.begin() + 2 + static_cast<int64_t>(count));
    const std::vector<at::Tensor> b(saved.begin() + 2 + static_cast<int64_t>(count), saved.end());
    const auto rows = ctx->saved_data["rows"].toIntVector();
    const auto scalings = ctx->saved_data["scalings"].toDoubleVector();
    const bool hasBias = ctx->saved_data["bias"].toBool();
    const auto gradY = grads[0].contiguous();
    auto [gradX, gradA, gradB] = op::lowRankLinearBackward(
        gradY, saved[0].defined() ? saved[0] : gradY, savedWeight(ctx),
        saved[1].defined() ? saved[1] : gradY, {a, b, rows, scalings, savedMask(ctx)}, ctx->needs_input_grad(0));
    variable_list result{orUndefinedIf(gradX, ctx->needs_input_grad(0))};
    if (hasBias)
      result.push_back(ctx->needs_input_grad(1) ? gradY.sum(0, false, at::kFloat) : at::Tensor());
    else
      result.emplace_back();
    int64_t row = 0;
    for (const auto& t : a) {
      result.push_back(gradA.narrow(0, row, t.size(0)).to(t.scalar_type()));
      row += t.size(0);
    }
    for (size_t i = 0; i < count; ++i) result.push_back(gradB[i].to(b[i].scalar_type()));
    result.emplace_back();
    result.emplace_back();
    return result;
  }
};

// A linear whose weight trains: its gradient is formed in float32 from the compute dtype's operands.
class TrainedLinear : public torch::autograd::Function<TrainedLinear> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const OptionalTensor& bias) {
    const auto in = x.contiguous(), held = weight.to(x.scalar_type()).contiguous();
    ctx->save_for_backward({in, held});
    ctx->saved_data["type"] = weight.scalar_type();
    ctx->saved_data["bias"] = bias.has_value();
    return std::get<0>(op::lowRankLinear(in, held, bias, {}));
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto gradY = grads[0].contiguous();
    variable_list result(3);
    if (ctx->needs_input_grad(0))
      result[0] = std::get<0>(op::lowRankLinearBackward(gradY, gradY, saved[1], gradY, {}, true));
    if (ctx->needs_input_grad(1))
      result[1] = op::weightGradient(gradY, saved[0]).to(ctx->saved_data["type"].toScalarType());
    if (ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(2)) result[2] = gradY.sum(0, false, at::kFloat);
    return result;
  }
};

class LinearCrossEntropy : public torch::autograd::Function<LinearCrossEntropy> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& hidden, const at::Tensor& weight,
                            const at::Tensor& labels, double factor, bool hiddenGrad, bool weightGrad) {
    auto [loss, gradHidden, gradWeight] =
        op::linearCrossEntropy(hidden.contiguous(), weight.to(hidden.scalar_type()).contiguous(), labels.contiguous(),
                               factor, hiddenGrad, weightGrad);
    ctx->save_for_backward({orUndefinedIf(gradHidden, hiddenGrad), orUndefinedIf(gradWeight, weightGrad)});
    ctx->saved_data["type"] = weight.scalar_type();
    return loss;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const double factor = grads[0].item<double>();
    variable_list result(6);
    // The usual gradient of the loss is 1: nothing is multiplied then.
    const auto scaled = [&](const at::Tensor& t) { return factor == 1 ? t : t * factor; };
    if (saved[0].defined()) result[0] = scaled(saved[0]);
    if (saved[1].defined()) result[1] = scaled(saved[1]).to(ctx->saved_data["type"].toScalarType());
    return result;
  }
};

bool wantsGrad(const at::Tensor& t) { return t.defined() && at::GradMode::is_enabled() && t.requires_grad(); }

}  // namespace

uint64_t dropoutSeed(uint64_t seed, int64_t step, int64_t microBatch) {
  // The generator itself mixes: a step and micro-batch are a counter under the run's seed.
  const auto mixed = philox(seed, static_cast<uint64_t>(microBatch), static_cast<uint64_t>(step));
  return (static_cast<uint64_t>(mixed.v[1]) << 32) | mixed.v[0];
}

at::Tensor dropout(const at::Tensor& x, double p, uint64_t seed, uint64_t place) {
  if (p <= 0) return x;
  if (!supported(x)) return reference::dropout(x, p, seed, place);
  return Dropout::apply(x, maskArgs(p, seed, place));
}

at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (!supported(x)) return reference::rmsNorm(x, weight, eps);
  return RmsNorm::apply(x, OptionalTensor(), weight, eps)[0];
}

std::pair<at::Tensor, at::Tensor> addRmsNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                                             double eps) {
  if (!supported(x)) return reference::addRmsNorm(x, residual, weight, eps);
  auto both = RmsNorm::apply(x, OptionalTensor(residual), weight, eps);
  return {both[0], both[1]};
}

at::Tensor addLayerNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const at::Tensor& bias, double eps, double dropoutP, uint64_t seed, uint64_t place) {
  if (!supported(x)) return reference::addLayerNorm(x, residual, weight, bias, eps, dropoutP, seed, place);
  return LayerNorm::apply(x, maybe(residual), weight, bias, eps, maskArgs(dropoutP, seed, place));
}

at::Tensor swiglu(const at::Tensor& gateUp) {
  return supported(gateUp) ? Swiglu::apply(gateUp) : reference::swiglu(gateUp);
}

at::Tensor gelu(const at::Tensor& x) { return supported(x) ? Gelu::apply(x) : reference::gelu(x); }

at::Tensor packedAttention(const at::Tensor& qkv, const std::vector<int64_t>& starts, const at::Tensor& cos,
                           const at::Tensor& sin, const AttentionSpec& spec) {
  TORCH_CHECK(spec.heads > 0 && spec.kvHeads > 0 && spec.heads % spec.kvHeads == 0 &&
                  qkv.size(1) == (spec.heads + 2 * spec.kvHeads) * spec.headDim,
              "attention: ", spec.heads, " heads over ", spec.kvHeads, " of width ", spec.headDim,
              " do not fit rows of ", qkv.size(1));
  TORCH_CHECK(!starts.empty() && starts.front() == 0 && starts.back() == qkv.size(0),
              "attention: the boundaries do not cover the batch");
  TORCH_CHECK(spec.window >= 0 && (spec.window == 0 || spec.causal), "attention: a window of ", spec.window,
              spec.causal ? "" : " without causality");
  if (!supported(qkv)) return reference::packedAttention(qkv, starts, cos, sin, spec);
  return Attention::apply(qkv, starts, maybe(cos.defined() ? floatOf(cos) : cos), maybe(sin.defined() ? floatOf(sin) : sin),
                          op::AttentionArgs{spec.heads, spec.kvHeads, spec.headDim, spec.causal, spec.scale,
                                            maskArgs(spec.dropoutP, spec.seed, spec.place), spec.window});
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!supported(x) || x.dim() != 2) return reference::linear(x, weight, bias);
  if (wantsGrad(weight)) return TrainedLinear::apply(x, weight, maybe(bias));
  const op::FrozenWeight held(weight.to(x.scalar_type()));
  return LowRankLinear::apply(x, maybe(bias), at::TensorList(), at::TensorList(), &held, Pairs{});
}

at::Tensor loraLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& a,
                      const at::Tensor& b, double scaling, double dropoutP, uint64_t seed, uint64_t place) {
  if (!supported(x) || x.dim() != 2 || weight.scalar_type() != x.scalar_type() || wantsGrad(weight))
    return reference::loraLinear(x, weight, bias, a, b, scaling, dropoutP, seed, place);
  const at::Tensor as[] = {a}, bs[] = {b};
  const op::FrozenWeight held(weight);
  return LowRankLinear::apply(x, maybe(bias), at::TensorList(as), at::TensorList(bs), &held,
                              Pairs{{0, weight.size(0)}, {scaling}, maskArgs(dropoutP, seed, place)});
}

namespace {

// Maps of one input whose weights lie one below the other; those without a pair have none in the operator's list.
at::Tensor stackedLinear(const at::Tensor& x, const op::FrozenWeight& weight, int64_t rows, const at::Tensor& bias,
                         const std::vector<int64_t>& outs, const std::vector<at::Tensor>& a,
                         const std::vector<at::Tensor>& b, const std::vector<double>& scalings) {
  std::vector<at::Tensor> as, bs;
  Pairs pairs;
  int64_t row = 0;
  for (size_t i = 0; i < outs.size(); ++i) {
    if (a[i].defined()) {
      as.push_back(a[i]);
      bs.push_back(b[i]);
      pairs.rows.insert(pairs.rows.end(), {row, row + outs[i]});
      pairs.scalings.push_back(scalings[i]);
    }
    row += outs[i];
  }
  TORCH_CHECK(row == rows, "the stacked weight has ", rows, " rows, its parts ", row);
  return LowRankLinear::apply(x, maybe(bias), at::TensorList(as), at::TensorList(bs), &weight, pairs);
}

}  // namespace

at::Tensor loraLinearGroup(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const std::vector<int64_t>& outs, const std::vector<at::Tensor>& a,
                           const std::vector<at::Tensor>& b, const std::vector<double>& scalings) {
  if (!supported(x) || x.dim() != 2 || weight.scalar_type() != x.scalar_type() || wantsGrad(weight))
    return reference::loraLinearGroup(x, weight, bias, outs, a, b, scalings);
  return stackedLinear(x, op::FrozenWeight(weight), weight.size(0), bias, outs, a, b, scalings);
}

at::Tensor fourBitLoraLinearGroup(const at::Tensor& x, const std::vector<FourBitWeight>& weights,
                                  const at::Tensor& bias, const std::vector<at::Tensor>& a,
                                  const std::vector<at::Tensor>& b, const std::vector<double>& scalings) {
  std::vector<int64_t> outs;
  for (const FourBitWeight& weight : weights) outs.push_back(weight.out);
  if (!supported(x) || x.dim() != 2)
    return reference::loraLinearGroup(x, op::dequantised(weights, x.scalar_type()), bias, outs, a, b, scalings);
  return stackedLinear(x, op::FrozenWeight(weights), op::rowsOf(weights), bias, outs, a, b, scalings);
}

at::Tensor fourBitLoraLinear(const at::Tensor& x, const FourBitWeight& weight, const at::Tensor& bias,
                             const at::Tensor& a, const at::Tensor& b, double scaling, double dropoutP, uint64_t seed,
                             uint64_t place) {
  if (!supported(x) || x.dim() != 2) {
    const auto plain = dequantiseFourBit(weight, x.scalar_type());
    return a.defined() ? reference::loraLinear(x, plain, bias, a, b, scaling, dropoutP, seed, place)
                       : reference::linear(x, plain, bias);
  }
  const op::FrozenWeight held(std::vector<FourBitWeight>{weight});
  if (!a.defined()) return LowRankLinear::apply(x, maybe(bias), at::TensorList(), at::TensorList(), &held, Pairs{});
  const at::Tensor as[] = {a}, bs[] = {b};
  return LowRankLinear::apply(x, maybe(bias), at::TensorList(as), at::TensorList(bs), &held,
                              Pairs{{0, weight.out}, {scaling}, maskArgs(dropoutP, seed, place)});
}

at::Tensor linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                              double normaliser) {
  if (!supported(hidden)) return reference::linearCrossEntropy(hidden, weight, labels, normaliser);
  const auto count = normaliser > 0 ? normaliser : static_cast<double>(labels.ge(0).sum().item<int64_t>());
  return LinearCrossEntropy::apply(hidden, weight, labels, count > 0 ? 1 / count : 0.0, wantsGrad(hidden),
                                   wantsGrad(weight));
}

// A task head's few columns: ATen's own operators are as fast as anything.
at::Tensor crossEntropy(const at::Tensor& logits, const at::Tensor& labels, double normaliser) {
  return reference::crossEntropy(logits, labels, normaliser);
}

}  // namespace rankscope::kernels

#include "kernels/reference/reference.h"

#include <cmath>

#include "kernels/philox.h"

namespace rankscope::kernels::reference {

namespace {

// Sums are taken in float32, and in float64 where that is what came in (gradient checks).
at::Tensor wide(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

at::Tensor lowRank(const at::Tensor& x, const at::Tensor& a, const at::Tensor& b, double scaling) {
  return at::matmul(at::matmul(x, a.to(x.scalar_type()).t()), b.to(x.scalar_type()).t()) * scaling;
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  // x [T, heads, D] float32; cos, sin [T, D / 2]
  const auto half = x.size(2) / 2;
  const auto x1 = x.narrow(2, 0, half), x2 = x.narrow(2, half, half);
  const auto c = cos.unsqueeze(1), s = sin.unsqueeze(1);
  return at::cat({x1 * c - x2 * s, x2 * c + x1 * s}, 2);
}

}  // namespace

at::Tensor attentionDropout(const AttentionSpec& spec, int64_t start, int64_t length) {
  auto mask = at::empty({spec.heads, length, length}, at::kFloat);
  auto values = mask.accessor<float, 3>();
  const auto threshold = dropThreshold(spec.dropoutP);
  const float keep = static_cast<float>(1.0 / (1.0 - spec.dropoutP));
  for (int64_t h = 0; h < spec.heads; ++h)
    for (int64_t q = 0; q < length; ++q)
      for (int64_t k = 0; k < length; ++k)
        values[h][q][k] =
            philox(spec.seed, spec.place, attentionDropIndex(h, start + q, k)).v[k & 3] < threshold ? 0.f : keep;
  return mask;
}

at::Tensor dropoutMask(at::IntArrayRef sizes, double p, uint64_t seed, uint64_t place) {
  auto mask = at::empty(sizes, at::kFloat);
  float* out = mask.data_ptr<float>();
  const auto threshold = dropThreshold(p);
  const float keep = static_cast<float>(1.0 / (1.0 - p));
  for (int64_t i = 0; i < mask.numel(); ++i)
    out[i] = philox(seed, place, static_cast<uint64_t>(i) >> 2).v[i & 3] < threshold ? 0.f : keep;
  return mask;
}

at::Tensor dropout(const at::Tensor& x, double p, uint64_t seed, uint64_t place) {
  if (p <= 0) return x;
  return (wide(x) * dropoutMask(x.sizes(), p, seed, place).to(x.device())).to(x.scalar_type());
}

at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const auto f = wide(x);
  return (f * at::rsqrt(f.square().mean(-1, true) + eps) * weight.to(f.scalar_type())).to(x.scalar_type());
}

std::pair<at::Tensor, at::Tensor> addRmsNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                                             double eps) {
  const auto sum = x + residual;
  return {rmsNorm(sum, weight, eps), sum};
}

at::Tensor addLayerNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const at::Tensor& bias, double eps, double dropoutP, uint64_t seed, uint64_t place) {
  auto f = wide(x);
  if (dropoutP > 0) f = f * dropoutMask(x.sizes(), dropoutP, seed, place).to(x.device());
  if (residual.defined()) f = f + residual.to(f.scalar_type());
  return at::layer_norm(f, {x.size(-1)}, weight.to(f.scalar_type()), bias.to(f.scalar_type()), eps).to(x.scalar_type());
}

at::Tensor swiglu(const at::Tensor& gateUp) {
  const auto half = gateUp.size(-1) / 2;
  const auto f = wide(gateUp);
  return (at::silu(f.narrow(-1, 0, half)) * f.narrow(-1, half, half)).to(gateUp.scalar_type());
}

at::Tensor gelu(const at::Tensor& x) { return at::gelu(x); }

at::Tensor packedAttention(const at::Tensor& qkv, const std::vector<int64_t>& starts, const at::Tensor& cos,
                           const at::Tensor& sin, const AttentionSpec& spec) {
  const auto f = wide(qkv);
  const auto tokens = f.size(0), qWidth = spec.heads * spec.headDim, kvWidth = spec.kvHeads * spec.headDim;
  auto q = f.narrow(1, 0, qWidth).reshape({tokens, spec.heads, spec.headDim});
  auto k = f.narrow(1, qWidth, kvWidth).reshape({tokens, spec.kvHeads, spec.headDim});
  const auto v = f.narrow(1, qWidth + kvWidth, kvWidth).reshape({tokens, spec.kvHeads, spec.headDim});
  if (cos.defined()) {
    q = rotate(q, cos, sin);
    k = rotate(k, cos, sin);
  }
  const auto groups = spec.heads / spec.kvHeads;
  std::vector<at::Tensor> outputs;
  for (size_t s = 0; s + 1 < starts.size(); ++s) {
    const auto begin = starts[s], length = starts[s + 1] - starts[s];
    const auto qs = q.narrow(0, begin, length).transpose(0, 1);
    const auto ks = k.narrow(0, begin, length).transpose(0, 1).repeat_interleave(groups, 0);
    const auto vs = v.narrow(0, begin, length).transpose(0, 1).repeat_interleave(groups, 0);
    auto scores = at::matmul(qs, ks.transpose(1, 2)) * spec.scale;
    if (spec.causal) {
      const auto all = at::ones({length, length}, scores.options().dtype(at::kBool));
      scores = scores.masked_fill(all.triu(1), -INFINITY);
      if (spec.window > 0) scores = scores.masked_fill(all.tril(-spec.window), -INFINITY);
    }
    auto probabilities = at::softmax(scores, -1);
    if (spec.dropoutP > 0) probabilities = probabilities * attentionDropout(spec, begin, length).to(qkv.device());
    outputs.push_back(at::matmul(probabilities, vs).transpose(0, 1).reshape({length, qWidth}));
  }
  if (outputs.empty()) return at::zeros({0, qWidth}, qkv.options());
  return at::cat(outputs, 0).to(qkv.scalar_type());
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto w = weight.to(x.scalar_type());
  if (!bias.defined()) return at::linear(x, w);
  return at::linear(x, w, bias.to(x.scalar_type()));
}

at::Tensor loraLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& a,
                      const at::Tensor& b, double scaling, double dropoutP, uint64_t seed, uint64_t place) {
  return linear(x, weight, bias) + lowRank(reference::dropout(x, dropoutP, seed, place), a, b, scaling);
}

at::Tensor loraLinearGroup(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const std::vector<int64_t>& outs, const std::vector<at::Tensor>& a,
                           const std::vector<at::Tensor>& b, const std::vector<double>& scalings) {
  std::vector<at::Tensor> parts;
  int64_t row = 0;
  for (size_t i = 0; i < outs.size(); ++i) {
    auto y = linear(x, weight.narrow(0, row, outs[i]), bias.defined() ? bias.narrow(0, row, outs[i]) : bias);
    if (a[i].defined()) y = y + lowRank(x, a[i], b[i], scalings[i]);
    parts.push_back(y);
    row += outs[i];
  }
  return at::cat(parts, -1);
}

at::Tensor linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                              double normaliser) {
  return reference::crossEntropy(at::matmul(hidden, weight.to(hidden.scalar_type()).t()), labels, normaliser);
}

at::Tensor crossEntropy(const at::Tensor& logits, const at::Tensor& labels, double normaliser) {
  const auto keep = at::nonzero(labels.ge(0)).squeeze(1);
  if (keep.numel() == 0) return wide(logits).sum() * 0;
  const auto rows = at::log_softmax(wide(logits.index_select(0, keep)), -1);
  const auto picked = rows.gather(1, labels.index_select(0, keep).unsqueeze(1));
  return -picked.sum() / (normaliser > 0 ? normaliser : static_cast<double>(keep.numel()));
}

}  // namespace rankscope::kernels::reference

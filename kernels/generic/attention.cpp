#include "kernels/generic/generic.h"
#include "kernels/reference/reference.h"

namespace rankscope::kernels::generic {

namespace {

// x [T, heads, D] turned by the angles; `back` turns the other way (the gradient).
at::Tensor rotated(const at::Tensor& x, const op::OptionalTensor& cos, const op::OptionalTensor& sin, bool back) {
  if (!cos) return x;
  const auto half = x.size(2) / 2;
  const auto a = x.narrow(2, 0, half), b = x.narrow(2, half, half);
  const auto c = cos->unsqueeze(1), s = back ? -sin->unsqueeze(1) : sin->unsqueeze(1);
  return at::cat({a * c - b * s, b * c + a * s}, 2);
}

struct Split {
  at::Tensor q, k, v;  // [T, heads, D] float32, rotated
};

Split split(const at::Tensor& qkv, const op::OptionalTensor& cos, const op::OptionalTensor& sin,
            const op::AttentionArgs& args) {
  const auto f = qkv.to(at::kFloat);
  const auto tokens = f.size(0), qWidth = args.heads * args.headDim, kvWidth = args.kvHeads * args.headDim;
  const auto part = [&](int64_t at, int64_t width, int64_t heads) {
    return f.narrow(1, at, width).reshape({tokens, heads, args.headDim});
  };
  return {rotated(part(0, qWidth, args.heads), cos, sin, false),
          rotated(part(qWidth, kvWidth, args.kvHeads), cos, sin, false), part(qWidth + kvWidth, kvWidth, args.kvHeads)};
}

// One sequence: [heads, L, D]; key and value heads repeated for their group of query heads.
at::Tensor rows(const at::Tensor& x, int64_t begin, int64_t length, int64_t groups) {
  const auto one = x.narrow(0, begin, length).transpose(0, 1);
  return groups > 1 ? one.repeat_interleave(groups, 0) : one;
}

at::Tensor scoresOf(const at::Tensor& q, const at::Tensor& k, const op::AttentionArgs& args) {
  auto scores = at::matmul(q, k.transpose(1, 2)).mul_(args.scale);
  if (args.causal) {
    auto hidden = at::ones({q.size(1), q.size(1)}, scores.options().dtype(at::kBool));
    hidden = args.window > 0 ? hidden.triu(1).logical_or_(hidden.tril(-args.window)) : hidden.triu_(1);
    scores.masked_fill_(hidden, -INFINITY);
  }
  return scores;
}

at::Tensor factors(const op::AttentionArgs& args, int64_t begin, int64_t length, const at::Device& device) {
  AttentionSpec spec;
  spec.heads = args.heads;
  spec.dropoutP = args.mask.p;
  spec.seed = static_cast<uint64_t>(args.mask.seed);
  spec.place = static_cast<uint64_t>(args.mask.place);
  return reference::attentionDropout(spec, begin, length).to(device);
}

}  // namespace

std::tuple<at::Tensor, at::Tensor> attention(const at::Tensor& qkv, at::IntArrayRef starts,
                                             const op::OptionalTensor& cos, const op::OptionalTensor& sin,
                                             const op::AttentionArgs& args) {
  const auto [q, k, v] = split(qkv, cos, sin, args);
  const auto tokens = qkv.size(0), groups = args.heads / args.kvHeads;
  auto out = at::empty({tokens, args.heads * args.headDim}, qkv.options());
  auto logSums = at::empty({args.heads, tokens}, qkv.options().dtype(at::kFloat));
  for (size_t s = 0; s + 1 < starts.size(); ++s) {
    const auto begin = starts[s], length = starts[s + 1] - begin;
    const auto scores = scoresOf(rows(q, begin, length, 1), rows(k, begin, length, groups), args);
    const auto logs = at::logsumexp(scores, {-1});
    logSums.narrow(1, begin, length).copy_(logs);
    auto weights = at::exp(scores - logs.unsqueeze(-1));
    if (args.mask.p > 0) weights = weights * factors(args, begin, length, qkv.device());
    const auto mixed = at::matmul(weights, rows(v, begin, length, groups));
    out.narrow(0, begin, length).copy_(mixed.transpose(0, 1).reshape({length, -1}));
  }
  return {out, logSums};
}

at::Tensor attentionBackward(const at::Tensor& gradOut, const at::Tensor& qkv, const at::Tensor& out,
                             const at::Tensor& logSums, at::IntArrayRef starts, const op::OptionalTensor& cos,
                             const op::OptionalTensor& sin, const op::AttentionArgs& args) {
  const auto [q, k, v] = split(qkv, cos, sin, args);
  const auto tokens = qkv.size(0), groups = args.heads / args.kvHeads;
  const auto g = gradOut.to(at::kFloat).reshape({tokens, args.heads, args.headDim});
  const auto delta = (gradOut.to(at::kFloat) * out.to(at::kFloat)).reshape({tokens, args.heads, args.headDim}).sum(-1);
  auto gradQ = at::empty_like(q), gradK = at::empty_like(k), gradV = at::empty_like(v);
  const auto folded = [&](const at::Tensor& x, int64_t length) {  // sums the heads that share a key head
    return x.reshape({args.kvHeads, groups, length, args.headDim}).sum(1).transpose(0, 1);
  };
  for (size_t s = 0; s + 1 < starts.size(); ++s) {
    const auto begin = starts[s], length = starts[s + 1] - begin;
    const auto qs = rows(q, begin, length, 1), ks = rows(k, begin, length, groups), vs = rows(v, begin, length, groups);
    const auto gs = rows(g, begin, length, 1);
    const auto weights = at::exp(scoresOf(qs, ks, args) - logSums.narrow(1, begin, length).unsqueeze(-1));
    auto gradWeights = at::matmul(gs, vs.transpose(1, 2));
    auto used = weights;
    if (args.mask.p > 0) {
      const auto f = factors(args, begin, length, qkv.device());
      used = weights * f;
      gradWeights = gradWeights * f;
    }
    const auto gradScores = weights * (gradWeights - rows(delta, begin, length, 1).unsqueeze(-1)) * args.scale;
    gradQ.narrow(0, begin, length).copy_(at::matmul(gradScores, ks).transpose(0, 1));
    gradK.narrow(0, begin, length).copy_(folded(at::matmul(gradScores.transpose(1, 2), qs), length));
    gradV.narrow(0, begin, length).copy_(folded(at::matmul(used.transpose(1, 2), gs), length));
  }
  return at::cat({rotated(gradQ, cos, sin, true).reshape({tokens, -1}),
                  rotated(gradK, cos, sin, true).reshape({tokens, -1}), gradV.reshape({tokens, -1})},
                 1)
      .to(qkv.scalar_type());
}

}  // namespace rankscope::kernels::generic

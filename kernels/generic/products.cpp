#include "kernels/generic/generic.h"
#include "kernels/reference/reference.h"

namespace rankscope::kernels::generic {

namespace {

at::Tensor stacked(at::TensorList a, at::ScalarType type) {
  std::vector<at::Tensor> parts;
  for (const auto& t : a) parts.push_back(t.to(type));
  return parts.size() == 1 ? parts.front() : at::cat(parts);
}

}  // namespace

at::Tensor addLowRank(at::Tensor& y, const at::Tensor& x, const op::LowRankArgs& args) {
  if (args.a.empty()) return at::empty({0}, x.options());
  const auto input = args.mask.p > 0 ? op::dropout(x, args.mask) : x;
  const auto u = at::mm(input, stacked(args.a, x.scalar_type()).t());
  int64_t column = 0;
  for (size_t i = 0; i < args.a.size(); ++i) {
    const auto rank = args.a[i].size(0), begin = args.rows[2 * i], end = args.rows[2 * i + 1];
    auto part = y.narrow(1, begin, end - begin);
    part.addmm_(u.narrow(1, column, rank), args.b[i].to(x.scalar_type()).t(), 1, args.scalings[i]);
    column += rank;
  }
  return u;
}

std::tuple<at::Tensor, at::Tensor> lowRankLinear(const at::Tensor& x, const at::Tensor& weight,
                                                 const op::OptionalTensor& bias, const op::LowRankArgs& args) {
  auto y = bias ? at::addmm(bias->to(x.scalar_type()), x, weight.t()) : at::mm(x, weight.t());
  const auto u = addLowRank(y, x, args);
  return {y, u};
}

std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>> lowRankLinearBackward(
    const at::Tensor& gradY, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& u,
    const op::LowRankArgs& args, bool needX) {
  auto gradX = needX ? at::mm(gradY, weight) : at::empty({0}, gradY.options());
  std::vector<at::Tensor> gradB;
  if (args.a.empty()) return {gradX, at::empty({0}, gradY.options()), gradB};
  std::vector<at::Tensor> v;
  int64_t column = 0;
  for (size_t i = 0; i < args.a.size(); ++i) {
    const auto rank = args.a[i].size(0), begin = args.rows[2 * i], end = args.rows[2 * i + 1];
    const auto part = gradY.narrow(1, begin, end - begin);
    v.push_back(at::mm(part, args.b[i].to(gradY.scalar_type()) * args.scalings[i]));
    gradB.push_back(at::mm(part.t(), u.narrow(1, column, rank)).to(at::kFloat).mul_(args.scalings[i]));
    column += rank;
  }
  const auto vs = v.size() == 1 ? v.front() : at::cat(v, 1);
  const auto input = args.mask.p > 0 ? op::dropout(x, args.mask) : x;
  const auto gradA = at::mm(vs.t(), input).to(at::kFloat);
  if (needX) {
    const auto a = stacked(args.a, gradY.scalar_type());
    if (args.mask.p > 0)
      gradX.add_(op::dropout(at::mm(vs, a), args.mask));
    else
      gradX.addmm_(vs, a);
  }
  return {gradX, gradA, gradB};
}

at::Tensor weightGradient(const at::Tensor& gradY, const at::Tensor& x) {
  return at::mm(gradY.t(), x).to(at::kFloat);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight,
                                                                  const at::Tensor& labels, double factor,
                                                                  bool hiddenGrad, bool weightGrad) {
  // Rows at a time, so that the logits of a block stay near 64 MB.
  const auto vocabulary = weight.size(0), rows = hidden.size(0);
  const auto block = std::max<int64_t>(1, (int64_t{16} << 20) / std::max<int64_t>(vocabulary, 1));
  const auto none = at::empty({0}, hidden.options());
  auto gradHidden = hiddenGrad ? at::zeros_like(hidden) : none;
  auto gradWeight = weightGrad ? at::zeros(weight.sizes(), hidden.options().dtype(at::kFloat)) : none;
  auto loss = at::zeros({}, hidden.options().dtype(at::kFloat));
  const auto keep = at::nonzero(labels.ge(0)).squeeze(1);
  for (int64_t begin = 0; begin < keep.numel(); begin += block) {
    const auto index = keep.narrow(0, begin, std::min(block, keep.numel() - begin));
    const auto h = index.numel() == rows ? hidden : hidden.index_select(0, index);
    const auto label = labels.index_select(0, index).unsqueeze(1);
    auto logits = at::mm(h, weight.t()).to(at::kFloat);
    const auto logs = at::logsumexp(logits, {1}, true);
    loss += (logs - logits.gather(1, label)).sum() * factor;
    if (!hiddenGrad && !weightGrad) continue;
    auto p = logits.sub_(logs).exp_().mul_(factor);
    p.scatter_add_(1, label, at::full({1, 1}, -factor, p.options()).expand_as(label));
    const auto narrow = p.to(hidden.scalar_type());
    if (hiddenGrad) gradHidden.index_copy_(0, index, at::mm(narrow, weight));
    if (weightGrad) gradWeight += at::mm(narrow.t(), h).to(at::kFloat);
  }
  return {loss, gradHidden, gradWeight};
}

}  // namespace rankscope::kernels::generic

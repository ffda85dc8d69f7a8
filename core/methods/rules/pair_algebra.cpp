#include "core/methods/rules/pair_algebra.h"

#include <map>

namespace rankscope {

namespace {

// Indices of the matrices of each shape.
std::map<std::vector<int64_t>, std::vector<size_t>> byShape(const std::vector<at::Tensor>& matrices) {
  std::map<std::vector<int64_t>, std::vector<size_t>> groups;
  for (size_t i = 0; i < matrices.size(); ++i) groups[matrices[i].sizes().vec()].push_back(i);
  return groups;
}

at::Tensor stackOf(const std::vector<at::Tensor>& matrices, const std::vector<size_t>& which) {
  std::vector<at::Tensor> chosen;
  chosen.reserve(which.size());
  for (const size_t i : which) chosen.push_back(matrices[i]);
  return at::stack(chosen);
}

}  // namespace

at::Tensor gramOfA(const at::Tensor& a) {
  const at::Tensor wide = a.detach().to(at::kDouble);
  return wide.mm(wide.t());
}

at::Tensor gramOfB(const at::Tensor& b) {
  const at::Tensor wide = b.detach().to(at::kDouble);
  return wide.t().mm(wide);
}

std::vector<at::Tensor> batched(const std::vector<at::Tensor>& matrices,
                                const std::function<at::Tensor(const at::Tensor&)>& work) {
  std::vector<at::Tensor> results(matrices.size());
  for (const auto& [shape, which] : byShape(matrices)) {
    const at::Tensor done = work(stackOf(matrices, which));
    for (size_t k = 0; k < which.size(); ++k) results[which[k]] = done[static_cast<int64_t>(k)];
  }
  return results;
}

std::vector<at::Tensor> dampedInverses(const std::vector<at::Tensor>& grams, double damping) {
  return batched(grams, [&](const at::Tensor& stack) {
    return std::get<0>(at::linalg_inv_ex(stack + damping * at::eye(stack.size(1), stack.options())));
  });
}

std::vector<at::Tensor> products(const std::vector<at::Tensor>& left, const std::vector<at::Tensor>& right) {
  std::vector<at::Tensor> results(left.size());
  for (const auto& [shape, which] : byShape(left)) {
    const at::Tensor done = stackOf(left, which).bmm(stackOf(right, which));
    for (size_t k = 0; k < which.size(); ++k) results[which[k]] = done[static_cast<int64_t>(k)];
  }
  return results;
}

std::vector<at::Tensor> solveSylvester(const std::vector<at::Tensor>& p, const std::vector<at::Tensor>& q,
                                       const std::vector<at::Tensor>& c) {
  std::vector<at::Tensor> solutions(c.size());
  for (const auto& [shape, which] : byShape(c)) {
    const auto [lambda, u] = at::linalg_eigh(stackOf(p, which));
    const auto [mu, v] = at::linalg_eigh(stackOf(q, which));
    const at::Tensor sums = lambda.clamp_min(0).unsqueeze(2) + mu.clamp_min(0).unsqueeze(1);
    const at::Tensor inner = u.transpose(1, 2).bmm(stackOf(c, which)).bmm(v);
    const at::Tensor divided = at::where(sums > 0, inner / sums, at::zeros_like(inner));
    const at::Tensor x = u.bmm(divided).bmm(v.transpose(1, 2));
    for (size_t k = 0; k < which.size(); ++k) solutions[which[k]] = x[static_cast<int64_t>(k)];
  }
  return solutions;
}

at::Tensor leftTimes(const at::Tensor& small, const at::Tensor& wide) { return small.to(wide.scalar_type()).mm(wide); }
at::Tensor timesRight(const at::Tensor& tall, const at::Tensor& small) { return tall.mm(small.to(tall.scalar_type())); }

}  // namespace rankscope

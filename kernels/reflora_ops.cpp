#include "kernels/reflora_ops.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "kernels/no_recording.h"

namespace rankscope::kernels {

void checkRefLoraPairs(at::TensorList a, at::TensorList b) {
  TORCH_CHECK(a.size() == b.size(), "reflora: ", a.size(), " factors A but ", b.size(), " factors B");
  for (size_t i = 0; i < a.size(); ++i) {
    TORCH_CHECK(a[i].dim() == 2 && b[i].dim() == 2 && a[i].size(0) == b[i].size(1), "reflora: pair ", i, " is A ",
                a[i].sizes(), ", B ", b[i].sizes(), "; expected [r, in] and [out, r]");
    TORCH_CHECK(a[i].size(0) > 0, "reflora: pair ", i, " has rank 0");
    TORCH_CHECK((a[i].scalar_type() == at::kFloat || a[i].scalar_type() == at::kDouble) &&
                    a[i].scalar_type() == b[i].scalar_type(),
                "reflora: pair ", i, " must be float32 or float64 throughout");
  }
}

void checkRefLoraGradients(at::TensorList a, at::TensorList b, at::TensorList gradA, at::TensorList gradB) {
  TORCH_CHECK(gradA.size() == a.size() && gradB.size() == b.size(), "reflora: one gradient a factor is needed");
  for (size_t i = 0; i < a.size(); ++i)
    TORCH_CHECK(gradA[i].sizes() == a[i].sizes() && gradB[i].sizes() == b[i].sizes() &&
                    gradA[i].scalar_type() == a[i].scalar_type() && gradB[i].scalar_type() == b[i].scalar_type(),
                "reflora: the gradients of pair ", i, " do not look like its factors");
}

RefLoraMetric refloraMetric(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b, double eps) {
  if (a.empty()) return {};
  const NoRecording guard;
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("rankscope::reflora_metric", "")
                             .typed<std::vector<at::Tensor>(at::TensorList, at::TensorList, double)>();
  std::vector<at::Tensor> both = op.call(a, b, eps);
  RefLoraMetric metric;
  metric.s.assign(both.begin(), both.begin() + static_cast<std::ptrdiff_t>(a.size()));
  metric.sInverse.assign(both.begin() + static_cast<std::ptrdiff_t>(a.size()), both.end());
  return metric;
}

void refloraPrecondition(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b,
                         const std::vector<at::Tensor>& gradA, const std::vector<at::Tensor>& gradB, double eps) {
  if (a.empty()) return;
  const NoRecording guard;
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("rankscope::reflora_precondition", "")
                             .typed<void(at::TensorList, at::TensorList, at::TensorList, at::TensorList, double)>();
  op.call(a, b, gradA, gradB, eps);
}

}  // namespace rankscope::kernels

// In this file, so that whoever calls the operators links their registration.
TORCH_LIBRARY_FRAGMENT(rankscope, m) {
  m.def("reflora_metric(Tensor[] a, Tensor[] b, float eps) -> Tensor[]");
  m.def("reflora_precondition(Tensor[] a, Tensor[] b, Tensor(c!)[] grad_a, Tensor(d!)[] grad_b, float eps) -> ()");
}

TORCH_LIBRARY_IMPL(rankscope, CPU, m) {
  m.impl("reflora_metric", rankscope::kernels::cpu::refloraMetric);
  m.impl("reflora_precondition", rankscope::kernels::cpu::refloraPrecondition);
}

#pragma once
// RefLoRA's r×r work for all adapted sites in one call (METHODS 4; Zhang et al., RefLoRA, 2025). With M_A = A Aᵀ and
// M_B = Bᵀ B, S = M_A⁻¹ # M_B is the symmetric solution of S M_A S = M_B. Registered as rankscope::reflora_metric and
// rankscope::reflora_precondition for CPU and CUDA; kernels/reference holds the plain form that tests compare with.
//
// eps is added to the square roots of eigenvalues: the machine epsilon of the factors' dtype. Eigenvalues that rounding
// made negative count as 0. Called on the training thread; no autograd recording.

#include <ATen/core/Tensor.h>

#include <vector>

namespace rankscope::kernels {

struct RefLoraMetric {
  std::vector<at::Tensor> s;         // per pair [r, r]
  std::vector<at::Tensor> sInverse;  // per pair [r, r]
};

// a[i] [r_i, in_i], b[i] [out_i, r_i]; ranks may differ between pairs. Results in the factors' dtype.
RefLoraMetric refloraMetric(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b, double eps);

// In place: gradA ← S⁻¹ gradA, gradB ← gradB S.
void refloraPrecondition(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b,
                         const std::vector<at::Tensor>& gradA, const std::vector<at::Tensor>& gradB, double eps);

namespace reference {
RefLoraMetric refloraMetric(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b, double eps);
void refloraPrecondition(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b,
                         const std::vector<at::Tensor>& gradA, const std::vector<at::Tensor>& gradB, double eps);
}  // namespace reference

namespace cpu {
std::vector<at::Tensor> refloraMetric(at::TensorList a, at::TensorList b, double eps);
void refloraPrecondition(at::TensorList a, at::TensorList b, at::TensorList gradA, at::TensorList gradB, double eps);
}  // namespace cpu

// Shapes, dtypes and counts that every implementation relies on; throws c10::Error that names the pair.
void checkRefLoraPairs(at::TensorList a, at::TensorList b);
void checkRefLoraGradients(at::TensorList a, at::TensorList b, at::TensorList gradA, at::TensorList gradB);

}  // namespace rankscope::kernels

#pragma once
// LoRA-GA (Wang, Yu and Li, 2024; METHODS 13): the factors begin as singular vectors of the mean gradient G of the base
// model, G = U S Vᵀ, taken out of the weight, so that the first steps of the factors go where full fine-tuning would. A
// takes r of the right vectors and B r other of the left ones. The official form scales both factors alike; the one that
// PEFT has multiplies B by its singular values besides and scales B alone.

#include <string>

#include "core/methods/low_rank_parts.h"
#include "core/methods/singular_triplets.h"

namespace rankscope {

struct LoraGaForm {
  std::string direction = "ArB2r";  // ArB2r | A2rBr | ArBr
  std::string scale = "stable";     // stable | unit | gd | weightS
  double gamma = 16;
  bool peft = false;
};

struct LoraGaFactors {
  at::Tensor a, b;
};
// From the 2r leading triplets of G. `weightSigma`: the r leading singular values of W, for scale weightS.
LoraGaFactors loraGaFactors(const Triplets& gradient, int64_t rank, double scaling, const at::Tensor& weightSigma,
                            const LoraGaForm& form);

Result<std::unique_ptr<LowRankStart>> makeLoraGaStart(const MethodSettings& settings);

}  // namespace rankscope

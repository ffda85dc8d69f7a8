#pragma once
// LoRA (Hu et al., 2021; METHODS 2): ΔW = (α/r) B A with A Kaiming-uniform (or gaussian) and B = 0, so the output at
// the start is the base model's bit for bit, and ∂ℓ/∂A = 0 there. RoRA (Liu et al., 2025; rsLoRA, Kalajdzievski, 2023;
// METHODS 3): the same with α/√r, so that the size of an update does not fall with the rank. Identical to LoRA with α'
// = α√r.

#include <memory>

#include "core/methods/method.h"

namespace rankscope {

double loraScaling(int64_t rank, double alpha);
double roraScaling(int64_t rank, double alpha);
std::unique_ptr<Method> makeLora(MethodSettings settings);
std::unique_ptr<Method> makeRora(MethodSettings settings);

}  // namespace rankscope

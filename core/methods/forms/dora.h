#pragma once
// DoRA (Liu et al., 2024; METHODS 6): V = W + s B A, W' = diag(m/‖V‖_row) V with the magnitudes m trained and ‖V‖_row
// held constant in backward; m starts as ‖V‖_row, so that the function at the start is the base model's. As PEFT does it:
// dropout acts on the whole adapted path, and the base path of the undropped input stays. Row norms are formed once a
// step from W Aᵀ and the r×r Gram matrix, never from B A itself.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<SiteForm>> makeDoraForm(const MethodSettings& settings);

}  // namespace rankscope

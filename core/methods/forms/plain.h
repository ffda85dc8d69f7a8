#pragma once
// LoRA's own form (Hu et al., 2021; METHODS 2): W + s B A. Dropout acts on the input of A.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<SiteForm>> makePlainForm(const MethodSettings& settings);

}  // namespace rankscope

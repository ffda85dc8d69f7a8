#pragma once
// What the frozen weights below the adapters are kept in: as they are loaded, or in 4 bits (QLoRA, Dettmers et al. 2023;
// METHODS 19). Of the parts of a low-rank method this is the fourth; any form, start and rule goes with it. Training
// thread.

#include <string>
#include <vector>

#include "core/methods/low_rank_parts.h"

namespace rankscope {

struct BaseFormat {
  bool fourBit = false;
  kernels::four_bit::Format code = kernels::four_bit::Format::NF4;
  int64_t block = 64;
  bool doubleQuantised = true;
  bool adaptedOnly = false;  // else every linear map of the model's blocks
};

// By the name in method.base, or the method's own, and their options.
Result<BaseFormat> baseFormatOf(const MethodSettings& settings);

// Whether a site that does not train whole is kept in 4 bits: linear ones of the blocks. Heads, poolers and what is tied
// lie outside the blocks (layer -1); there is no product of a convolution or a lookup with 4-bit values.
bool isCoded(const BaseFormat& format, const SiteShape& site, bool adapted);

// Bytes of so many values in 4 bits.
int64_t codedBytes(const BaseFormat& format, int64_t values);

// The weight of a site from here on is `weight` [out, in] in 4 bits. Model::rebind() afterwards. Throws ErrorException when
// a value is not finite.
void keepInFourBits(const BaseFormat& format, Model& model, LinearSite& site, const at::Tensor& weight);

}  // namespace rankscope

#pragma once
// From stored images to a batch's pixels: normalised, and in training shifted and mirrored at random. The draws are a
// function of (seed, number of the micro-batch, place in it) alone, so that a resumed run sees the same pixels.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "core/data/image_store.h"

namespace rankscope {

struct ImageAugmentation {
  int64_t cropPadding = 0;  // pixels
  bool flip = false;
  uint64_t seed = 0;
};

// [S, channels, height, width] float32; `augmentation` null: as they are.
at::Tensor imagePixels(const ImageStore& images, std::span<const int32_t> indices, const ImageAugmentation* augmentation,
                       uint64_t draw);

}  // namespace rankscope

#pragma once
// Memory of a run over images, counted from what the network keeps for backward (ModelFamily::imagePass). For estimate.cpp.

#include "core/models/registry.h"
#include "core/train/estimate.h"

namespace rankscope {

struct ImageRun {
  ImagePass pass;                // of one image of the run's size
  int64_t images = 0;            // in the largest training batch
  int64_t evalImages = 0;        // in an evaluation pass
  int64_t stored = 0;            // bytes of the data's images
  int64_t computeBytes = 4;
  int64_t trainable = 0;
  int64_t kept = 0;              // values kept for backward of one image
  bool recompute = false;        // gradient checkpointing
};

// `fixed` holds what is there at every moment: program, weights, trained tensors, optimizer.
MemoryEstimate imageMemory(const ImageRun& run, MemoryEstimate fixed);

}  // namespace rankscope

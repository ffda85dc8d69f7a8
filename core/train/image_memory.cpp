#include "core/train/image_memory.h"

#include <algorithm>

namespace rankscope {

MemoryEstimate imageMemory(const ImageRun& run, MemoryEstimate fixed) {
  // The layer at work: its input, its result, both gradients, and what the convolution library reorders.
  constexpr int64_t kAtWork = 5;
  const auto work = [&](int64_t images) { return images * run.computeBytes * kAtWork * run.pass.widest; };
  fixed.program += run.stored;
  const int64_t scoring = work(run.evalImages), training = work(run.images);
  // Recomputed blocks keep their inputs, about a fifth of what a block of four or five values keeps.
  const int64_t kept = run.full ? run.images * run.computeBytes * run.pass.kept / (run.recompute ? 4 : 1) : 0;
  fixed.moment = kept + training >= scoring ? "training pass" : "evaluation";
  fixed.activations = std::max(kept + training, scoring) + 4 * run.images * run.pass.pixels;
  fixed.gradients = 4 * run.trainable;
  return fixed;
}

}  // namespace rankscope

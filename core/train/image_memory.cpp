#include "core/train/image_memory.h"

#include <algorithm>

namespace rankscope {
namespace {

// Of a network that trains whole, resident memory beyond the live blocks at their peak, as a share of what is kept for
// backward: the convolution library rearranges every input and result into its own layout and frees the copies between
// blocks that stay, and glibc's aligned allocation finds a hole of just its size too small. Measured with a counting
// allocator on ResNet-20 of 32 × 32 and ResNet-18 of 96 × 96 pixels in batches of 16 to 256: 0.48 to 0.77, the smaller the
// larger the batch.
constexpr double kHeldBackByConvolutions = 0.55;
// A layer at work without gradients or recomputed: its input, its result, both gradients, and what is rearranged. While all
// layers' values are kept, those at work are the last and smallest ones; the live peak then is one layer more.
constexpr int64_t kAtWork = 5;
// Recomputed blocks keep their inputs alone, about a fifth; but what each of them frees leaves holes that the next one, of
// another size, does not fill. Peaks measured on the same networks vary from 0.77 to 0.95 of those without recomputing.
constexpr double kRecomputed = 0.85;

}  // namespace

MemoryEstimate imageMemory(const ImageRun& run, MemoryEstimate fixed) {
  const auto layers = [&](int64_t images, int64_t count) { return images * run.computeBytes * count * run.pass.widest; };
  fixed.program += run.stored;
  const int64_t scoring = layers(run.evalImages, kAtWork), training = layers(run.images, run.kept > 0 ? 1 : kAtWork);
  const double share = run.recompute ? kRecomputed : 1.0;
  const auto kept = static_cast<int64_t>(share * static_cast<double>(run.images * run.computeBytes * run.kept));
  const auto held = static_cast<int64_t>(kHeldBackByConvolutions * static_cast<double>(kept));
  fixed.moment = kept + held + training >= scoring ? "training pass" : "evaluation";
  fixed.activations = std::max(kept + held + training, scoring) + 4 * run.images * run.pass.pixels;
  fixed.gradients = 4 * run.trainable;
  return fixed;
}

}  // namespace rankscope

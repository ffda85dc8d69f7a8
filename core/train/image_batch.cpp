#include "core/train/image_batch.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <array>

#include "core/data/batch_plan.h"

namespace rankscope {
namespace {

// Where an image's pixels are taken from: shifted by (dy, dx), columns backwards when mirrored.
struct Placement {
  int64_t dy = 0, dx = 0;
  bool mirrored = false;
};

std::vector<Placement> placed(size_t count, const ImageAugmentation* augmentation, uint64_t draw) {
  std::vector<Placement> placements(count);
  if (!augmentation) return placements;
  SplitMix64 draws(SplitMix64(SplitMix64(augmentation->seed).next() + draw).next());
  const int64_t padding = augmentation->cropPadding;
  for (Placement& each : placements) {
    if (padding > 0) {
      each.dy = static_cast<int64_t>(draws.below(static_cast<uint64_t>(2 * padding + 1))) - padding;
      each.dx = static_cast<int64_t>(draws.below(static_cast<uint64_t>(2 * padding + 1))) - padding;
    }
    if (augmentation->flip) each.mirrored = draws.below(2) == 1;
  }
  return placements;
}

}  // namespace

at::Tensor imagePixels(const ImageStore& images, std::span<const int32_t> indices, const ImageAugmentation* augmentation,
                       uint64_t draw) {
  const ImageSettings& settings = images.settings();
  const int64_t channels = settings.channels, height = settings.height, width = settings.width;
  // A byte has 256 values: what each becomes is worked out once.
  std::vector<std::array<float, 256>> values(static_cast<size_t>(channels));
  for (size_t c = 0; c < values.size(); ++c)
    for (size_t v = 0; v < 256; ++v)
      values[c][v] = static_cast<float>((static_cast<double>(v) * settings.rescale - settings.mean[c]) / settings.deviation[c]);
  const std::vector<Placement> placements = placed(indices.size(), augmentation, draw);
  at::Tensor pixels = at::empty({static_cast<int64_t>(indices.size()), channels, height, width}, at::kFloat);
  float* const out = pixels.mutable_data_ptr<float>();
  at::parallel_for(0, static_cast<int64_t>(indices.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const uint8_t* plane = images.pixels(indices[static_cast<size_t>(s)]).data();
      const Placement& place = placements[static_cast<size_t>(s)];
      float* to = out + s * channels * height * width;
      for (int64_t c = 0; c < channels; ++c, plane += height * width)
        for (int64_t y = 0; y < height; ++y) {
          const int64_t row = y + place.dy;
          for (int64_t x = 0; x < width; ++x) {
            const int64_t column = (place.mirrored ? width - 1 - x : x) + place.dx;
            const bool inside = row >= 0 && row < height && column >= 0 && column < width;
            *to++ = values[static_cast<size_t>(c)][inside ? plane[row * width + column] : 0];
          }
        }
    }
  });
  return pixels;
}

}  // namespace rankscope

#pragma once
// How a model wants its images: preprocessor_config.json as transformers' image processors write it, or the standard of
// the network where a checkpoint has none. Values, any thread.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/config/result.h"
#include "core/data/image.h"

namespace rankscope {

struct ImageSettings {
  int64_t channels = 3;
  int64_t height = 224, width = 224;  // of what the model gets
  // Before the crop: the shorter side is brought to this length (0: no), or both sides to the final size (`squeeze`).
  int64_t shortestEdge = 256;
  bool squeeze = false;
  Resample resample = Resample::Bilinear;
  double rescale = 1.0 / 255;
  std::vector<double> mean{0.485, 0.456, 0.406}, deviation{0.229, 0.224, 0.225};  // one a channel, after rescaling

  // The network's usual side, with ImageNet's statistics: small networks take images of that size as they are, the others
  // the middle of a slightly larger image.
  static ImageSettings standard(int64_t side, int64_t channels);
  // data.image_size in place of the model's own size; the margin of the crop stays in proportion.
  void setSide(int64_t side);
  int64_t values() const { return channels * height * width; }
};

// Reads <folder>/preprocessor_config.json over `standard`; without the file, `standard` itself. Settings that are not
// supported are refused by name.
Result<ImageSettings> readImageSettings(const std::filesystem::path& folder, const ImageSettings& standard);
// As preprocessor_config.json, for a saved model.
nlohmann::json imageSettingsDocument(const ImageSettings& settings);

// From a decoded image to [channels, height, width] bytes.
Result<std::vector<uint8_t>> modelPixels(Image image, const ImageSettings& settings, const std::string& where);

}  // namespace rankscope

#pragma once
// A decoded picture, and what happens to it on the way to a model: PNG and JPEG decoding (stb_image), resizing as Pillow
// does it, cropping from the middle, conversion of channels. Sizes are bounded before anything is allocated. Free
// functions, any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

// Eight bits a value, rows from the top, a pixel's channels together.
struct Image {
  int64_t width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;

  size_t bytes() const { return static_cast<size_t>(width * height * channels); }
};

inline constexpr int64_t kMaxImageSide = 16384;
inline constexpr int64_t kMaxImagePixels = 40'000'000;
inline constexpr size_t kMaxImageFileBytes = 256u << 20;

// Three channels. Truncated or damaged data, other formats and sizes beyond the bounds are errors about `where`.
Result<Image> decodeImage(std::string_view bytes, const std::string& where);

// By Pillow's numbers, as preprocessor_config.json gives them.
enum class Resample { Nearest = 0, Lanczos = 1, Bilinear = 2, Bicubic = 3, Box = 4, Hamming = 5 };

// Pillow's resampling in two passes with its fixed-point weights: the same bytes as Image.resize gives.
Image resizedImage(const Image& image, int64_t width, int64_t height, Resample resample);
// The middle; what the image does not cover is black.
Image centreCrop(const Image& image, int64_t width, int64_t height);
// 1 or 3 channels from 1 or 3; grey by ITU-R 601 as Pillow weighs it.
Image withChannels(Image image, int64_t channels);

}  // namespace rankscope

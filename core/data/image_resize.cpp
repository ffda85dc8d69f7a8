// Pillow's resampling (libImaging/Resample.c): a filter widened by the scale when shrinking, weights in fixed point with 22
// bits behind the point, first along rows, then along columns, rounded to eight bits in between. Pillow 13 takes columns
// first where that is less work: its values are then one level away at most.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/data/image.h"

namespace rankscope {
namespace {

constexpr int kPrecision = 32 - 8 - 2;

double sinc(double x) { return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }

double weightAt(Resample resample, double x) {
  const double size = std::abs(x);
  switch (resample) {
    case Resample::Nearest: break;
    case Resample::Box: return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Resample::Bilinear: return size < 1 ? 1 - size : 0;
    case Resample::Hamming:
      return size >= 1 ? 0 : sinc(size) * (0.54 + 0.46 * std::cos(size * std::numbers::pi));
    case Resample::Bicubic: {
      constexpr double a = -0.5;
      if (size < 1) return ((a + 2) * size - (a + 3)) * size * size + 1;
      return size < 2 ? (((size - 5) * size + 8) * size - 4) * a : 0;
    }
    case Resample::Lanczos: return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
  return 0;
}

double supportOf(Resample resample) {
  switch (resample) {
    case Resample::Nearest:
    case Resample::Box: return 0.5;
    case Resample::Bilinear:
    case Resample::Hamming: return 1;
    case Resample::Bicubic: return 2;
    case Resample::Lanczos: return 3;
  }
  return 1;
}

// For each place of the result: its first source and the weights from there on.
struct Taps {
  std::vector<int64_t> first, count;
  std::vector<int32_t> weights;
  int64_t width = 0;
};

Taps tapsOf(int64_t from, int64_t to, Resample resample) {
  Taps taps;
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  if (resample == Resample::Nearest) {
    taps.width = 1;
    for (int64_t i = 0; i < to; ++i) {
      taps.first.push_back(std::min(from - 1, static_cast<int64_t>((static_cast<double>(i) + 0.5) * scale)));
      taps.count.push_back(1);
      taps.weights.push_back(1 << kPrecision);
    }
    return taps;
  }
  const double widening = std::max(scale, 1.0), support = supportOf(resample) * widening;
  taps.width = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.weights.assign(static_cast<size_t>(taps.width * to), 0);
  std::vector<double> row(static_cast<size_t>(taps.width));
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t count = std::min(from, static_cast<int64_t>(centre + support + 0.5)) - first;
    double sum = 0;
    for (int64_t k = 0; k < count; ++k)
      sum += row[static_cast<size_t>(k)] = weightAt(resample, (static_cast<double>(k + first) - centre + 0.5) / widening);
    for (int64_t k = 0; k < count; ++k) {
      const double weight = (sum != 0 ? row[static_cast<size_t>(k)] / sum : row[static_cast<size_t>(k)]) * (1 << kPrecision);
      taps.weights[static_cast<size_t>(i * taps.width + k)] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  return taps;
}

// Results along one axis: `lines` lines of places that lie `step` values apart.
void apply(const Taps& taps, const uint8_t* in, uint8_t* out, int64_t step) {
  for (size_t i = 0; i < taps.first.size(); ++i) {
    int32_t sum = 1 << (kPrecision - 1);
    const int32_t* weights = taps.weights.data() + static_cast<int64_t>(i) * taps.width;
    const uint8_t* source = in + taps.first[i] * step;
    for (int64_t k = 0; k < taps.count[i]; ++k) sum += source[k * step] * weights[k];
    out[static_cast<int64_t>(i) * step] = static_cast<uint8_t>(std::clamp(sum >> kPrecision, 0, 255));
  }
}

}  // namespace

namespace {

Image alongRows(const Image& image, int64_t width, Resample resample) {
  if (width == image.width) return image;
  Image result{width, image.height, image.channels, {}};
  result.pixels.resize(result.bytes());
  const Taps taps = tapsOf(image.width, width, resample);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t c = 0; c < image.channels; ++c)
      apply(taps, image.pixels.data() + y * image.width * image.channels + c,
            result.pixels.data() + y * width * image.channels + c, image.channels);
  return result;
}

Image alongColumns(const Image& image, int64_t height, Resample resample) {
  if (height == image.height) return image;
  Image result{image.width, height, image.channels, {}};
  result.pixels.resize(result.bytes());
  const Taps taps = tapsOf(image.height, height, resample);
  const int64_t line = image.width * image.channels;
  for (int64_t x = 0; x < line; ++x) apply(taps, image.pixels.data() + x, result.pixels.data() + x, line);
  return result;
}

}  // namespace

Image resizedImage(const Image& image, int64_t width, int64_t height, Resample resample) {
  return alongColumns(alongRows(image, width, resample), height, resample);
}

Image centreCrop(const Image& image, int64_t width, int64_t height) {
  if (width == image.width && height == image.height) return image;
  Image result{width, height, image.channels, {}};
  result.pixels.assign(result.bytes(), 0);
  // transformers rounds a margin down and padding up.
  const auto start = [](int64_t have, int64_t want) { return have >= want ? (have - want) / 2 : -((want - have + 1) / 2); };
  const int64_t left = start(image.width, width), top = start(image.height, height);
  const int64_t from = std::max<int64_t>(0, left), columns = std::min(width, image.width);
  for (int64_t y = std::max<int64_t>(0, top); y < std::min(image.height, top + height); ++y)
    std::copy_n(image.pixels.data() + (y * image.width + from) * image.channels, columns * image.channels,
                result.pixels.data() + ((y - top) * width + from - left) * image.channels);
  return result;
}

Image withChannels(Image image, int64_t channels) {
  if (image.channels == channels) return image;
  Image result{image.width, image.height, channels, {}};
  result.pixels.reserve(result.bytes());
  const uint8_t* p = image.pixels.data();
  for (int64_t i = 0; i < image.width * image.height; ++i, p += image.channels) {
    if (channels == 1)
      result.pixels.push_back(static_cast<uint8_t>((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16));
    else
      result.pixels.insert(result.pixels.end(), 3, p[0]);
  }
  return result;
}

}  // namespace rankscope

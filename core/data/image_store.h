#pragma once
// The images of a data set as the model sees them, one after the other in one block of bytes. An example's only "token"
// is its image's place here, so that sets, limits, splits and batches need not know what an example is made of. Filled by
// one thread, then shared and read by any.

#include <cstdint>
#include <memory>
#include <span>

#include "core/config/result.h"
#include "core/data/image_settings.h"

namespace rankscope {

class ImageStore {
 public:
  // Room for `count` images; more than half of the machine's memory is an error about `where`.
  static Result<std::shared_ptr<ImageStore>> create(const ImageSettings& settings, uint64_t count, const std::string& where);

  int32_t add(std::span<const uint8_t> pixels);
  const ImageSettings& settings() const { return m_settings; }
  size_t size() const { return m_pixels.size() / imageBytes(); }
  uint64_t bytes() const { return m_pixels.size(); }
  // [channels, height, width]
  std::span<const uint8_t> pixels(int32_t index) const {
    return std::span(m_pixels).subspan(static_cast<size_t>(index) * imageBytes(), imageBytes());
  }

 private:
  explicit ImageStore(const ImageSettings& settings) : m_settings(settings) {}
  size_t imageBytes() const { return static_cast<size_t>(m_settings.values()); }

  ImageSettings m_settings;
  std::vector<uint8_t> m_pixels;
};

}  // namespace rankscope

// Any bytes as an image, and (first byte) as a CIFAR batch, an IDX file or its labels: refused with a hint, or pixels in
// bounds that come out at the size a model asks for.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/data/image_settings.h"
#include "core/data/image_source.h"
#include "fuzz_file.h"

using namespace rankscope;

namespace {

void use(Result<Image> image, const ImageSettings& settings) {
  if (!image) {
    if (image.error().hint.empty()) std::abort();
    return;
  }
  if (image->width < 1 || image->height < 1 || image->width * image->height > kMaxImagePixels ||
      image->pixels.size() != image->bytes())
    std::abort();
  const Result<std::vector<uint8_t>> pixels = modelPixels(std::move(*image), settings, "fuzz");
  if (pixels ? pixels->size() != static_cast<size_t>(settings.values()) : pixels.error().hint.empty()) std::abort();
}

void useSource(const std::filesystem::path& path, const ImageSettings& settings) {
  const Result<std::shared_ptr<const ImageSource>> source = ImageSource::open(path);
  if (!source) {
    if (source.error().hint.empty()) std::abort();
    return;
  }
  for (size_t i = 0; i < std::min<size_t>((*source)->size(), 8); ++i) {
    (void)(*source)->name(i);
    (void)(*source)->label(i);
    use((*source)->read(i), settings);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ImageSettings settings = ImageSettings::standard(data[0] & 8 ? 32 : 224, data[0] & 16 ? 1 : 3);
  settings.resample = static_cast<Resample>(data[0] / 32 % 6);
  switch (data[0] % 4) {
    case 0:
    case 1: use(decodeImage(bytes, "fuzz"), settings); break;
    case 2: useSource(fuzzFile("batch.bin", bytes), settings); break;
    case 3:
      fuzzFile("labels-idx1-ubyte", std::string_view("\0\0\x08\x01\0\0\0\x02\0\1", 10));
      useSource(fuzzFile("images-idx3-ubyte", bytes), settings);
      break;
  }
  return 0;
}

// decodeImage: JPEG by libjpeg-turbo, as Pillow does, PNG by stb_image. What they are lenient about (cut-off files, data
// beyond the picture's size) is checked here first.
#include <fmt/format.h>
#include <turbojpeg.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#include <stb/stb_image.h>

#include "core/data/image.h"

namespace rankscope {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kPng = "\x89PNG\r\n\x1A\n"sv;
constexpr std::string_view kJpeg = "\xFF\xD8\xFF"sv;

Error damaged(const std::string& where, std::string what, std::string found, std::string expected) {
  return {ErrorCode::BadInput, std::move(what), where, std::move(found), std::move(expected),
          "Fetch or save this image again, or remove it."};
}

uint32_t bigEndian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// What files that are neither PNG nor JPEG seem to be.
std::string kindOf(std::string_view bytes) {
  static constexpr std::pair<std::string_view, const char*> kinds[] = {
      {"GIF8"sv, "a GIF"}, {"BM"sv, "a BMP"}, {"II*\0"sv, "a TIFF"}, {"MM\0*"sv, "a TIFF"}, {"<"sv, "text or a web page"},
      {"version https://git-lfs"sv, "a Git LFS pointer"}, {"%PDF"sv, "a PDF"}, {"PK\x03\x04"sv, "a zip archive"}};
  if (bytes.size() >= 12 && bytes.starts_with("RIFF"sv) && bytes.substr(8, 4) == "WEBP"sv) return "a WebP";
  for (const auto& [start, kind] : kinds)
    if (bytes.starts_with(start)) return kind;
  return "other data";
}

// Chunks up to IEND, and the length of the unpacked pixel data, counted without keeping it: a few kilobytes can unpack
// to gigabytes, and stb_image would keep them all.
Result<void> checkPng(std::string_view bytes, const std::string& where) {
  const auto cut = [&] { return damaged(where, "the PNG file is cut off", fmt::format("{} bytes", bytes.size()), "chunks up to IEND"); };
  if (bytes.size() < 33 || bytes.substr(12, 4) != "IHDR"sv) return cut();
  const int64_t width = bigEndian(bytes, 16), height = bigEndian(bytes, 20), depth = static_cast<uint8_t>(bytes[24]);
  // Four channels at most, a filter byte a row, and seven interlaced passes that each round up.
  const int64_t most = height * ((width * 4 * std::max<int64_t>(depth, 8) + 7) / 8 + 1) + 8 * (width + height) + 64;
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return Error{ErrorCode::Internal, "zlib cannot start", where, "", "", "Free some memory."};
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  std::vector<uint8_t> sink(1 << 16);
  bool ended = false, packedEnd = false;
  for (size_t at = kPng.size(); !ended;) {
    if (bytes.size() - at < 12) return cut();
    const size_t length = bigEndian(bytes, at);
    if (length > bytes.size() - at - 12) return cut();
    const std::string_view kind = bytes.substr(at + 4, 4);
    ended = kind == "IEND"sv;
    if (kind == "IDAT"sv && !packedEnd) {
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + at + 8));
      stream.avail_in = static_cast<uInt>(length);
      while (stream.avail_in > 0 && !packedEnd) {
        stream.next_out = sink.data();
        stream.avail_out = static_cast<uInt>(sink.size());
        const int state = inflate(&stream, Z_NO_FLUSH);
        packedEnd = state == Z_STREAM_END;
        if (state != Z_OK && state != Z_STREAM_END)
          return damaged(where, "the PNG's pixels cannot be unpacked", stream.msg ? stream.msg : "damaged data", "a sound file");
        if (stream.total_out > static_cast<uLong>(most))
          return damaged(where, "the PNG holds more pixels than its size says", fmt::format("more than {} bytes", most),
                         fmt::format("{} × {}", width, height));
      }
    }
    at += 12 + length;
  }
  if (!packedEnd) return cut();
  return {};
}

// Segments up to the first scan, and the end mark behind it: without it the rest would be filled with grey.
Result<void> checkJpeg(std::string_view bytes, const std::string& where) {
  const auto cut = [&] { return damaged(where, "the JPEG file is cut off", fmt::format("{} bytes", bytes.size()), "data up to its end mark"); };
  size_t at = 2;
  for (;;) {
    if (at + 4 > bytes.size()) return cut();
    if (static_cast<uint8_t>(bytes[at]) != 0xFF)
      return damaged(where, "the JPEG's segments are damaged", fmt::format("byte {}", at), "a segment's mark");
    const auto mark = static_cast<uint8_t>(bytes[at + 1]);
    if (mark == 0xFF) {  // padding
      ++at;
      continue;
    }
    const size_t length = static_cast<size_t>(static_cast<uint8_t>(bytes[at + 2])) << 8 | static_cast<uint8_t>(bytes[at + 3]);
    if (length < 2 || at + 2 + length > bytes.size()) return cut();
    at += 2 + length;
    if (mark == 0xDA) break;
  }
  const size_t end = bytes.rfind("\xFF\xD9"sv);
  if (end == std::string_view::npos || end < at) return cut();
  return {};
}

Result<void> checkSize(int64_t width, int64_t height, const std::string& where) {
  if (width >= 1 && height >= 1 && width <= kMaxImageSide && height <= kMaxImageSide && width * height <= kMaxImagePixels)
    return {};
  return damaged(where, "the image is too large", fmt::format("{} × {}", width, height),
                 fmt::format("sides up to {}, {} million pixels", kMaxImageSide, kMaxImagePixels / 1'000'000));
}

Result<Image> decodeJpeg(std::string_view bytes, const std::string& where) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), tjDestroy);
  if (!decoder) return Error{ErrorCode::Internal, "libjpeg-turbo cannot start", where, "", "", "Free some memory."};
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  Image image;
  image.channels = 3;
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height, &subsampling, &colours) != 0 || width < 1 ||
      height < 1)
    return damaged(where, "the image's header cannot be read", tjGetErrorStr2(decoder.get()), "a sound PNG or JPEG");
  if (auto fits = checkSize(width, height, where); !fits) return fits.error();
  if (auto sound = checkJpeg(bytes, where); !sound) return sound.error();
  image.width = width;
  image.height = height;
  image.pixels.resize(static_cast<size_t>(image.bytes()));
  // A progressive file of many scans takes minutes for nothing; a warning leaves a whole picture, as Pillow sees it.
  constexpr int kFlags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
  if (tjDecompress2(decoder.get(), data, bytes.size(), image.pixels.data(), width, 0, height, TJPF_RGB, kFlags) != 0 &&
      tjGetErrorCode(decoder.get()) != TJERR_WARNING)
    return damaged(where, "the image cannot be decoded", tjGetErrorStr2(decoder.get()), "a sound PNG or JPEG");
  return image;
}

Result<Image> decodePng(std::string_view bytes, const std::string& where) {
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  if (bytes.size() >= 24 && (bigEndian(bytes, 16) > kMaxImageSide || bigEndian(bytes, 20) > kMaxImageSide))
    return checkSize(bigEndian(bytes, 16), bigEndian(bytes, 20), where).error();
  int width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(data, size, &width, &height, &channels)) {
    const char* reason = stbi_failure_reason();
    return damaged(where, "the image's header cannot be read", reason ? reason : "damaged", "a sound PNG or JPEG");
  }
  if (auto fits = checkSize(width, height, where); !fits) return fits.error();
  if (auto sound = checkPng(bytes, where); !sound) return sound.error();
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_load_from_memory(data, size, &width, &height, &channels, STBI_rgb), stbi_image_free);
  if (!decoded) {
    const char* reason = stbi_failure_reason();
    return damaged(where, "the image cannot be decoded", reason ? reason : "damaged", "a sound PNG or JPEG");
  }
  Image image{width, height, 3, {}};
  image.pixels.assign(decoded.get(), decoded.get() + image.bytes());
  return image;
}

}  // namespace

Result<Image> decodeImage(std::string_view bytes, const std::string& where) {
  if (bytes.empty()) return damaged(where, "the image file is empty", "0 bytes", "a PNG or JPEG image");
  if (bytes.size() > kMaxImageFileBytes)
    return damaged(where, "the image file is too large", fmt::format("{} bytes", bytes.size()),
                   fmt::format("at most {}", kMaxImageFileBytes));
  if (bytes.starts_with(kPng)) return decodePng(bytes, where);
  if (bytes.starts_with(kJpeg)) return decodeJpeg(bytes, where);
  return Error{ErrorCode::BadInput, "the file is no image that can be read", where, kindOf(bytes), "PNG or JPEG",
               "Convert it to PNG or JPEG, or remove it."};
}

}  // namespace rankscope

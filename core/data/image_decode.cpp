// decodeImage: what stb_image is lenient about (cut-off files, data beyond the picture's size) is checked here first.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
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

// A Huffman table of a JPEG has at most 256 codes. stb_image before 2.28 writes whatever the 16 counts add up to beyond
// its table, already when it is asked for the size. Marks are looked for as it does: any bytes between segments are passed
// over, and in a scan a mark is what neither is stuffed nor restarts it.
Result<void> checkJpegTables(std::string_view bytes, const std::string& where) {
  // Behind the end it reads zeros.
  const auto byte = [&](size_t at) { return at < bytes.size() ? static_cast<uint8_t>(bytes[at]) : uint8_t{0}; };
  size_t at = 2;
  for (;;) {
    while (at < bytes.size() && byte(at) != 0xFF) ++at;
    while (at < bytes.size() && byte(at) == 0xFF) ++at;
    if (at >= bytes.size()) return {};
    const uint8_t mark = byte(at++);
    if (mark == 0xD9) return {};
    if (mark <= 0x01 || (mark >= 0xD0 && mark <= 0xD8)) continue;
    const size_t length = std::max<size_t>(2, static_cast<size_t>(byte(at)) << 8 | byte(at + 1));
    for (size_t table = at + 2; mark == 0xC4 && table < at + length;) {
      size_t codes = 0;
      for (size_t i = 1; i <= 16; ++i) codes += byte(table + i);
      if (codes > 256)
        return damaged(where, "a table of the JPEG is too long", fmt::format("{} codes at byte {}", codes, table), "at most 256");
      table += 17 + codes;
    }
    at += length;
  }
}

// Segments up to the first scan, and the end mark behind it: without it stb_image fills the rest with grey.
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

}  // namespace

Result<Image> decodeImage(std::string_view bytes, const std::string& where) {
  if (bytes.empty()) return damaged(where, "the image file is empty", "0 bytes", "a PNG or JPEG image");
  if (bytes.size() > kMaxImageFileBytes)
    return damaged(where, "the image file is too large", fmt::format("{} bytes", bytes.size()),
                   fmt::format("at most {}", kMaxImageFileBytes));
  const bool png = bytes.starts_with(kPng);
  if (!png && !bytes.starts_with(kJpeg))
    return Error{ErrorCode::BadInput, "the file is no image that can be read", where, kindOf(bytes), "PNG or JPEG",
                 "Convert it to PNG or JPEG, or remove it."};
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  int width = 0, height = 0, channels = 0;
  const auto tooLarge = [&](int64_t wide, int64_t high) {
    return damaged(where, "the image is too large", fmt::format("{} × {}", wide, high),
                   fmt::format("sides up to {}, {} million pixels", kMaxImageSide, kMaxImagePixels / 1'000'000));
  };
  if (png && bytes.size() >= 24 && (bigEndian(bytes, 16) > kMaxImageSide || bigEndian(bytes, 20) > kMaxImageSide))
    return tooLarge(bigEndian(bytes, 16), bigEndian(bytes, 20));
  if (!png)
    if (Result<void> sound = checkJpegTables(bytes, where); !sound) return sound.error();
  if (!stbi_info_from_memory(data, size, &width, &height, &channels)) {
    const char* reason = stbi_failure_reason();
    return damaged(where, "the image's header cannot be read", reason ? reason : "damaged", "a sound PNG or JPEG");
  }
  if (width < 1 || height < 1 || width > kMaxImageSide || height > kMaxImageSide ||
      static_cast<int64_t>(width) * height > kMaxImagePixels)
    return tooLarge(width, height);
  if (Result<void> sound = png ? checkPng(bytes, where) : checkJpeg(bytes, where); !sound) return sound.error();
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

}  // namespace rankscope

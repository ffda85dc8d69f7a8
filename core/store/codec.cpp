#include "core/store/codec.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>

#include "core/config/result.h"
#include "core/store/database.h"

namespace rankscope {
namespace {

static_assert(std::endian::native == std::endian::little, "packed columns are little-endian");

enum Kind : unsigned char { kDouble = 0, kFloat = 1, kClock = 2, kInteger = 3, kRaw = 4 };

[[noreturn]] void damaged(const char* what) {
  throw ErrorException(
      Error{ErrorCode::Store, kDamagedStore, "packed numbers", what, "",
            "Run `rankscope-train store rebuild`, which makes the curves again from the run folders."});
}

// All first bytes, then all second bytes, …: neighbours in a curve share their high bytes, which then compress.
std::string transpose(const char* bytes, size_t count, size_t width) {
  std::string out(count * width, '\0');
  for (size_t i = 0; i < count; ++i)
    for (size_t k = 0; k < width; ++k) out[k * count + i] = bytes[i * width + k];
  return out;
}

void untranspose(const char* bytes, size_t count, size_t width, char* out) {
  for (size_t k = 0; k < width; ++k) {
    const char* plane = bytes + k * count;
    for (size_t i = 0; i < count; ++i) out[i * width + k] = plane[i];
  }
}

std::string compress(Kind kind, const std::string& bytes, int level) {
  std::string out(1 + ZSTD_compressBound(bytes.size()), '\0');
  out[0] = static_cast<char>(kind);
  // Making a context costs more than packing a small column.
  thread_local const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  const size_t size =
      ZSTD_compressCCtx(context.get(), out.data() + 1, out.size() - 1, bytes.data(), bytes.size(), level);
  if (ZSTD_isError(size))
    throw ErrorException(
        Error{ErrorCode::Internal, "packing failed", "", ZSTD_getErrorName(size), "", "Free some memory."});
  out.resize(1 + size);
  return out;
}

std::string decompress(std::string_view packed, size_t expected) {
  if (packed.empty()) damaged("an empty column");
  const std::string_view frame = packed.substr(1);
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size != expected) damaged("a column of another length");
  std::string out(expected, '\0');
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  const size_t got = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(got) || got != expected) damaged("a column that cannot be unpacked");
  return out;
}

template <typename T>
std::string packTyped(Kind kind, const std::vector<T>& values) {
  return compress(kind, transpose(reinterpret_cast<const char*>(values.data()), values.size(), sizeof(T)), 1);
}
template <typename T>
std::vector<T> unpackTyped(std::string_view packed, size_t count) {
  const std::string bytes = decompress(packed, count * sizeof(T));
  std::vector<T> values(count);
  untranspose(bytes.data(), count, sizeof(T), reinterpret_cast<char*>(values.data()));
  return values;
}

uint64_t zigzag(uint64_t difference) { return (difference << 1) ^ (~(difference >> 63) + 1); }
uint64_t unzigzag(uint64_t value) { return (value >> 1) ^ (~(value & 1) + 1); }

template <typename T>
std::vector<uint64_t> differences(const std::vector<T>& values) {
  std::vector<uint64_t> out(values.size());
  uint64_t before = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto bits = std::bit_cast<uint64_t>(values[i]);
    out[i] = zigzag(bits - before);
    before = bits;
  }
  return out;
}
std::vector<uint64_t> sums(std::vector<uint64_t> values) {
  uint64_t before = 0;
  for (uint64_t& value : values) value = before += unzigzag(value);
  return values;
}

}  // namespace

std::string packReals(const std::vector<double>& values) {
  const bool single = std::all_of(values.begin(), values.end(), [](double v) {
    return std::bit_cast<uint64_t>(static_cast<double>(static_cast<float>(v))) == std::bit_cast<uint64_t>(v);
  });
  if (!single) return packTyped(kDouble, values);
  return packTyped(kFloat, std::vector<float>(values.begin(), values.end()));
}

std::string packClock(const std::vector<double>& values) { return packTyped(kClock, differences(values)); }

std::string packIntegers(const std::vector<int64_t>& values) { return packTyped(kInteger, differences(values)); }

std::vector<double> unpackReals(std::string_view bytes, size_t count) {
  if (bytes.empty()) damaged("an empty column");
  switch (bytes[0]) {
    case kDouble: return unpackTyped<double>(bytes, count);
    case kFloat: {
      const std::vector<float> values = unpackTyped<float>(bytes, count);
      return {values.begin(), values.end()};
    }
    case kClock: {
      const std::vector<uint64_t> bits = sums(unpackTyped<uint64_t>(bytes, count));
      std::vector<double> values(count);
      if (count > 0) std::memcpy(values.data(), bits.data(), count * sizeof(double));
      return values;
    }
    default: damaged("a column of unknown kind");
  }
}

std::vector<int64_t> unpackIntegers(std::string_view bytes, size_t count) {
  if (bytes.empty() || bytes[0] != kInteger) damaged("a column of unknown kind");
  const std::vector<uint64_t> bits = sums(unpackTyped<uint64_t>(bytes, count));
  std::vector<int64_t> values(count);
  if (count > 0) std::memcpy(values.data(), bits.data(), count * sizeof(int64_t));
  return values;
}

std::string joinColumns(const std::vector<std::string>& columns) {
  std::string out;
  for (const std::string& column : columns) {
    const auto size = static_cast<uint32_t>(column.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out += column;
  }
  return out;
}

std::vector<std::string_view> splitColumns(std::string_view bytes, size_t columns) {
  std::vector<std::string_view> out;
  while (out.size() < columns) {
    uint32_t size = 0;
    if (bytes.size() < sizeof size) damaged("a blob that ends early");
    std::memcpy(&size, bytes.data(), sizeof size);
    bytes.remove_prefix(sizeof size);
    if (size > bytes.size()) damaged("a blob that ends early");
    out.push_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  if (!bytes.empty()) damaged("bytes after the last column");
  return out;
}

std::string packBytes(std::string_view bytes, int elementSize) {
  const auto width = static_cast<size_t>(elementSize);
  return compress(kRaw, transpose(bytes.data(), bytes.size() / width, width), 3);
}

std::string unpackBytes(std::string_view packed, size_t expected, int elementSize) {
  if (packed.empty() || packed[0] != kRaw) damaged("an array of unknown kind");
  const auto width = static_cast<size_t>(elementSize);
  const std::string bytes = decompress(packed, expected);
  std::string out(expected, '\0');
  untranspose(bytes.data(), expected / width, width, out.data());
  return out;
}

}  // namespace rankscope

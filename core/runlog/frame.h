#pragma once
// The bytes of a frame in events.log (event_log.h has the layout); private to core/runlog.

#include <zlib.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/config/limits.h"

namespace rankscope::frame {

inline constexpr std::string_view kMagic = "RSEVLOG1";
inline constexpr size_t kHeaderBytes = 16;

inline void putLittle(char* at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) at[i] = static_cast<char>((value >> (8 * i)) & 0xFF);
}
inline uint64_t getLittle(const char* at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(static_cast<unsigned char>(at[i])) << (8 * i);
  return value;
}

// CRC-32 of the 8 sequence bytes and the payload.
inline uint32_t checksum(const char* sequenceBytes, std::string_view payload) {
  uLong crc = ::crc32(0, reinterpret_cast<const Bytef*>(sequenceBytes), 8);
  crc = ::crc32(crc, reinterpret_cast<const Bytef*>(payload.data()), static_cast<uInt>(payload.size()));
  return static_cast<uint32_t>(crc);
}

inline std::array<char, kHeaderBytes> header(uint64_t sequence, std::string_view payload) {
  std::array<char, kHeaderBytes> bytes{};
  putLittle(bytes.data() + 8, sequence, 8);
  putLittle(bytes.data(), payload.size(), 4);
  putLittle(bytes.data() + 4, checksum(bytes.data() + 8, payload), 4);
  return bytes;
}

enum class Check { Whole, Torn, Damaged };

// Looks at the frame that starts at `bytes`. `payload` is set when it is whole; `needed` is its whole length when the
// length field is believable.
inline Check check(std::string_view bytes, uint64_t expectedSequence, std::string_view& payload, size_t& needed) {
  needed = kHeaderBytes;
  if (bytes.size() < 4) return Check::Torn;
  const uint64_t length = getLittle(bytes.data(), 4);
  if (length < 2 || length > limits::kEventBytes) return Check::Damaged;  // "{}" is the shortest payload
  needed = kHeaderBytes + static_cast<size_t>(length);
  if (bytes.size() >= kHeaderBytes && getLittle(bytes.data() + 8, 8) != expectedSequence) return Check::Damaged;
  if (bytes.size() < needed) return Check::Torn;
  payload = bytes.substr(kHeaderBytes, static_cast<size_t>(length));
  return checksum(bytes.data() + 8, payload) == getLittle(bytes.data() + 4, 4) ? Check::Whole : Check::Damaged;
}

}  // namespace rankscope::frame

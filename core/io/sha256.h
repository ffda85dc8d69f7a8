#pragma once
// SHA-256 (FIPS 180-4) of content, for cache keys and the record of what a run was trained on. One object, one thread.

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/config/result.h"

namespace rankscope {

class Sha256 {
 public:
  void update(std::string_view bytes);
  // Length first, so that ("ab","c") and ("a","bc") differ.
  void updateField(std::string_view bytes);
  std::string hex();  // finishes; the object is not to be used afterwards

 private:
  void block(const unsigned char* data);
  std::array<uint32_t, 8> m_state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> m_buffer{};
  size_t m_filled = 0;
  uint64_t m_total = 0;
};

std::string sha256Hex(std::string_view bytes);
Result<std::string> sha256File(const std::filesystem::path& path);

}  // namespace rankscope

#pragma once
// Little-endian numbers and runs of bytes from foreign input. Reading past the end is not an error of each call but of
// the reader: it yields zeros from then on and says so in failed(), which callers ask before they believe anything.

#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace rankscope {

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes, size_t at = 0) : m_bytes(bytes), m_at(at) {
    if (at > bytes.size()) fail();
  }

  size_t at() const { return m_at; }
  size_t left() const { return m_bytes.size() - m_at; }
  bool failed() const { return m_failed; }

  template <typename T>
  T number() {
    static_assert(std::is_arithmetic_v<T>);
    T value{};
    const std::string_view taken = bytes(sizeof(T));
    if (!m_failed) std::memcpy(&value, taken.data(), sizeof(T));
    return value;
  }
  uint8_t u8() { return number<uint8_t>(); }
  uint16_t u16() { return number<uint16_t>(); }
  uint32_t u32() { return number<uint32_t>(); }
  uint64_t u64() { return number<uint64_t>(); }

  std::string_view bytes(uint64_t count) {
    if (m_failed || count > left()) {
      fail();
      return {};
    }
    const std::string_view taken = m_bytes.substr(m_at, count);
    m_at += static_cast<size_t>(count);
    return taken;
  }
  void skip(uint64_t count) { bytes(count); }

 private:
  void fail() {
    m_failed = true;
    m_at = m_bytes.size();
  }

  std::string_view m_bytes;
  size_t m_at;
  bool m_failed = false;
};

}  // namespace rankscope

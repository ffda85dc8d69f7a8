#include "core/text/byte_level.h"

#include <array>

#include "core/text/unicode_text.h"

namespace rankscope {
namespace {

struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<int, 512> bytes{};

  Alphabet() {
    bytes.fill(-1);
    int32_t next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const int32_t c = printable ? byte : next++;
      appendCharacter(characters[static_cast<size_t>(byte)], c);
      bytes[static_cast<size_t>(c)] = byte;
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

const char* const kGpt2Words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::string_view byteLevelCharacter(char byte) { return alphabet().characters[static_cast<unsigned char>(byte)]; }

std::string toByteLevel(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += byteLevelCharacter(byte);
  return text;
}

std::optional<std::string> fromByteLevel(std::string_view text) {
  std::string bytes;
  for (size_t at = 0; at < text.size();) {
    const int32_t c = nextCharacter(text, at);
    const int byte = c < 512 ? alphabet().bytes[static_cast<size_t>(c)] : -1;
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace rankscope

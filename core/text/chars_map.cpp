#include "core/text/chars_map.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace rankscope {
namespace {

// A unit holds its label (bits 0-7), whether a value follows (8), and the offset to its children (10-30, scaled by 256
// when bit 9 is set); with bit 31 it is a value, an index into the texts.
uint32_t word(std::string_view bytes, size_t i) {
  uint32_t value;
  std::memcpy(&value, bytes.data() + 4 * i, 4);
  return value;
}

uint32_t offsetOf(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

}  // namespace

std::optional<const char*> problemOfCharsMap(std::string_view map) {
  if (map.size() <= 4) return "the normalisation table is too short";
  const uint32_t trieBytes = word(map, 0);
  if (trieBytes >= map.size() - 4 || trieBytes % 4 != 0 || trieBytes == 0) return "the normalisation table has a wrong size";
  const std::string_view trie = map.substr(4, trieBytes);
  const std::string_view texts = map.substr(4 + trieBytes);
  if (texts.back() != '\0') return "the normalisation table has no end";
  const size_t units = trieBytes / 4;
  std::vector<bool> seen(units, false);
  std::vector<size_t> bases{offsetOf(word(trie, 0))};
  while (!bases.empty()) {
    const size_t base = bases.back();
    bases.pop_back();
    for (size_t label = 0; label < 256; ++label) {
      const size_t at = base ^ label;
      if (at >= units) return "the normalisation table leads outside itself";
      const uint32_t unit = word(trie, at);
      if ((unit & (1u << 31 | 0xFFu)) != label || seen[at]) continue;
      seen[at] = true;
      const size_t child = at ^ offsetOf(unit);
      if ((unit >> 8 & 1) != 0) {
        if (child >= units) return "the normalisation table leads outside itself";
        if ((word(trie, child) & 0x7FFFFFFFu) >= texts.size()) return "the normalisation table points behind its texts";
      }
      bases.push_back(child);
    }
  }
  return std::nullopt;
}

CharsMap::CharsMap(std::string checked) : m_map(std::move(checked)) {
  const uint32_t trieBytes = word(m_map, 0);
  m_units = trieBytes / 4;
  m_texts = std::string_view(m_map).substr(4 + trieBytes);
}

std::optional<std::string_view> CharsMap::shortest(std::string_view text) const {
  const std::string_view trie = std::string_view(m_map).substr(4, 4 * m_units);
  size_t at = offsetOf(word(trie, 0));
  for (const char byte : text) {
    const auto label = static_cast<unsigned char>(byte);
    if (label == 0) return std::nullopt;
    at ^= label;
    if (at >= m_units) return std::nullopt;
    const uint32_t unit = word(trie, at);
    if ((unit & (1u << 31 | 0xFFu)) != label) return std::nullopt;
    at ^= offsetOf(unit);
    if ((unit >> 8 & 1) != 0 && at < m_units) {
      const size_t begin = word(trie, at) & 0x7FFFFFFFu;
      if (begin >= m_texts.size()) return std::nullopt;
      return m_texts.substr(begin, m_texts.find('\0', begin) - begin);
    }
  }
  return std::nullopt;
}

}  // namespace rankscope

#pragma once
// Pieces and their ids, both ways. Filled while loading, then immutable, any thread. Texts lie in one block, ids in a
// table with open addressing: a lookup is one hash and mostly one comparison.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rankscope {

// The largest token id that is believed; beyond it a file is damaged or hostile.
inline constexpr int64_t kMaxTokenId = 16'000'000;
inline constexpr size_t kMaxPieceBytes = 1u << 16;

class Vocabulary {
 public:
  // False when the piece is there already (its old id stays); ids may leave gaps. id in 0 … kMaxTokenId.
  bool add(std::string_view piece, int32_t id);
  int32_t find(std::string_view piece) const;    // -1 when there is none
  std::string_view piece(int32_t id) const;      // "" when there is none
  bool has(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < m_byId.size() && m_byId[static_cast<size_t>(id)] != kNone; }
  size_t size() const { return m_entries.size(); }
  int32_t end() const { return static_cast<int32_t>(m_byId.size()); }  // largest id + 1
  size_t longest() const { return m_longest; }
  // Every piece with its id, in the order they were added; views into this object.
  std::vector<std::pair<std::string_view, int32_t>> all() const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Entry {
    size_t begin;
    uint32_t size;
    int32_t id;
  };
  std::string_view textOf(const Entry& entry) const { return std::string_view(m_texts).substr(entry.begin, entry.size); }
  void grow();

  std::string m_texts;
  std::vector<Entry> m_entries;
  std::vector<uint32_t> m_slots, m_byId;  // indices of entries
  size_t m_longest = 0;
};

}  // namespace rankscope

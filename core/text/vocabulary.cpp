#include "core/text/vocabulary.h"

#include <algorithm>
#include <functional>

namespace rankscope {

bool Vocabulary::add(std::string_view piece, int32_t id) {
  if (find(piece) >= 0) return false;
  if (m_slots.size() < 2 * (m_entries.size() + 1)) grow();
  const auto index = static_cast<uint32_t>(m_entries.size());
  m_entries.push_back({m_texts.size(), static_cast<uint32_t>(piece.size()), id});
  m_texts.append(piece);
  m_longest = std::max(m_longest, piece.size());
  const auto place = static_cast<size_t>(id);
  if (place >= m_byId.size()) m_byId.resize(place + 1, kNone);
  m_byId[place] = index;
  size_t slot = std::hash<std::string_view>{}(piece) & (m_slots.size() - 1);
  while (m_slots[slot] != kNone) slot = (slot + 1) & (m_slots.size() - 1);
  m_slots[slot] = index;
  return true;
}

void Vocabulary::grow() {
  m_slots.assign(std::max<size_t>(16, m_slots.size() * 2), kNone);
  for (uint32_t i = 0; i < m_entries.size(); ++i) {
    size_t slot = std::hash<std::string_view>{}(textOf(m_entries[i])) & (m_slots.size() - 1);
    while (m_slots[slot] != kNone) slot = (slot + 1) & (m_slots.size() - 1);
    m_slots[slot] = i;
  }
}

int32_t Vocabulary::find(std::string_view piece) const {
  if (m_slots.empty() || piece.size() > m_longest) return -1;
  for (size_t slot = std::hash<std::string_view>{}(piece) & (m_slots.size() - 1); m_slots[slot] != kNone;
       slot = (slot + 1) & (m_slots.size() - 1)) {
    const Entry& entry = m_entries[m_slots[slot]];
    if (textOf(entry) == piece) return entry.id;
  }
  return -1;
}

std::string_view Vocabulary::piece(int32_t id) const {
  return has(id) ? textOf(m_entries[m_byId[static_cast<size_t>(id)]]) : std::string_view();
}

std::vector<std::pair<std::string_view, int32_t>> Vocabulary::all() const {
  std::vector<std::pair<std::string_view, int32_t>> pieces;
  pieces.reserve(m_entries.size());
  for (const Entry& entry : m_entries) pieces.emplace_back(textOf(entry), entry.id);
  return pieces;
}

}  // namespace rankscope

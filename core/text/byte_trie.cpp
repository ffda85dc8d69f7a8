#include "core/text/byte_trie.h"

#include <algorithm>

namespace rankscope {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  struct Range {
    size_t begin, end, depth;
  };
  // Breadth first, so that the children of a node lie together.
  std::vector<Range> ranges{{0, entries.size(), 0}};
  m_nodes.emplace_back();
  m_labels.push_back(0);
  for (size_t node = 0; node < ranges.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    while (begin < end && entries[begin].first.size() == depth) {
      if (depth > 0) m_nodes[node].value = entries[begin].second;
      ++begin;
    }
    m_nodes[node].firstChild = static_cast<uint32_t>(m_nodes.size());
    while (begin < end) {
      const char label = entries[begin].first[depth];
      size_t next = begin;
      while (next < end && entries[next].first[depth] == label) ++next;
      m_nodes.emplace_back();
      m_labels.push_back(static_cast<unsigned char>(label));
      ranges.push_back({begin, next, depth + 1});
      ++m_nodes[node].children;
      begin = next;
    }
  }
  m_starts.assign(256, kNone);
  for (uint16_t i = 0; i < m_nodes[kRoot].children; ++i)
    m_starts[m_labels[m_nodes[kRoot].firstChild + i]] = m_nodes[kRoot].firstChild + i;
}

}  // namespace rankscope

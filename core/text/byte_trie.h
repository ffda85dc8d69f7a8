#pragma once
// Prefix tree over byte strings with a number at the end of each: finds all pieces that a text goes on with, in time
// linear in their length. Immutable after building, any thread.

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace rankscope {

class ByteTrie {
 public:
  static constexpr uint32_t kNone = UINT32_MAX, kRoot = 0;

  ByteTrie() = default;
  // Values from 0; of equal keys the last one counts. Empty keys are left out.
  explicit ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries);

  bool empty() const { return m_nodes.size() <= 1; }
  uint32_t step(uint32_t node, char byte) const {
    if (m_nodes.empty()) return kNone;
    const Node& from = m_nodes[node];
    if (from.children == 0) return kNone;
    const void* found = std::memchr(m_labels.data() + from.firstChild, static_cast<unsigned char>(byte), from.children);
    return found ? static_cast<uint32_t>(static_cast<const unsigned char*>(found) - m_labels.data()) : kNone;
  }
  // From the root, where the search is most frequent.
  uint32_t start(char byte) const { return m_nodes.empty() ? kNone : m_starts[static_cast<unsigned char>(byte)]; }
  int32_t value(uint32_t node) const { return m_nodes[node].value; }  // -1 where no piece ends

 private:
  struct Node {
    uint32_t firstChild = 0;
    uint16_t children = 0;
    int32_t value = -1;
  };
  std::vector<Node> m_nodes;
  std::vector<unsigned char> m_labels;  // the byte that leads to each node
  std::vector<uint32_t> m_starts;
};

}  // namespace rankscope

#pragma once
// A machine for the pickle language that builds plain data and calls nothing: numbers, texts, lists, tuples,
// dictionaries, and what a PickleGuest makes of the few names it knows. Every other name is refused where it is met.
// Protocols 2 to 4, little-endian. One machine reads one pickle, on one thread.
//
// Values live in one arena and refer to each other by index, so cyclic and deep documents neither leak nor recurse.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

enum class PickleKind : uint8_t {
  None,
  Bool,    // integer 0 or 1
  Int,     // integer
  BigInt,  // text: little-endian bytes, more than eight
  Float,   // real
  Text,    // text
  Bytes,   // text
  Tuple,   // items
  List,    // items
  Dict,    // items: key, value, key, value, …; a repeated key's last value counts
  Name,    // integer: a name that the guest knows
  Object   // integer: something that the guest made
};

using PickleRef = uint32_t;

struct PickleNode {
  PickleKind kind = PickleKind::None;
  union {
    int64_t integer = 0;
    double real;
  };
  std::string_view text{};  // into the file's bytes
  std::vector<PickleRef> items{};
};

class PickleDocument {
 public:
  const PickleNode& operator[](PickleRef ref) const { return m_nodes[ref]; }
  const PickleNode& root() const { return m_nodes[m_root]; }
  PickleRef add(PickleNode node) {
    m_nodes.push_back(std::move(node));
    return static_cast<PickleRef>(m_nodes.size() - 1);
  }
  // Value of a text key of a dictionary (the last one), or null.
  const PickleNode* find(const PickleNode& dict, std::string_view key) const;
  size_t size() const { return m_nodes.size(); }

 private:
  friend class PickleMachine;
  std::vector<PickleNode> m_nodes;
  PickleRef m_root = 0;
};

// What the names in a pickle mean. Arguments are checked by the guest; errors need no place, the machine adds it.
class PickleGuest {
 public:
  virtual ~PickleGuest() = default;
  // "collections.OrderedDict" -> a number of the guest's own, or an error for a name that is not accepted.
  virtual Result<int64_t> name(const std::string& qualified) = 0;
  virtual Result<PickleNode> call(int64_t name, const PickleNode& arguments, const PickleDocument& document) = 0;
  virtual Result<PickleNode> persistent(const PickleNode& id, const PickleDocument& document) = 0;
};

struct PickleLimits {
  size_t steps = 16'000'000;
  size_t values = 4'000'000;
  size_t depth = 100'000;  // open marks
};

struct PickleResult {
  PickleDocument document;
  size_t end = 0;  // behind the pickle's last byte
};

// Reads one pickle that begins at `at` of `bytes`, which must outlive the result. `where` names the file.
Result<PickleResult> readPickle(std::string_view bytes, size_t at, PickleGuest& guest, const std::string& where,
                                const PickleLimits& limits = {});

// "a text", "a tuple of 3", … for messages.
std::string describePickle(const PickleNode& node);

}  // namespace rankscope

#include "core/io/pickle.h"

#include <fmt/format.h>

#include <bit>

#include "core/config/text_shown.h"
#include "core/io/byte_reader.h"

namespace rankscope {
namespace {

constexpr const char* kDamaged = "Perhaps the download was cut off or the file is damaged: fetch it again.";
constexpr const char* kSaveAgain =
    "If you trust the file, load it with the program that wrote it and save its tensors as safetensors.";

Error bad(std::string what, std::string found = "", std::string expected = "", const char* hint = kDamaged) {
  return Error{ErrorCode::BadInput, std::move(what), "", std::move(found), std::move(expected), hint};
}

PickleNode textNode(PickleKind kind, std::string_view text) {
  PickleNode node{kind};
  node.text = text;
  return node;
}

PickleNode intNode(PickleKind kind, int64_t value) {
  PickleNode node{kind};
  node.integer = value;
  return node;
}

// Two's complement, little-endian, any length.
PickleNode longNode(std::string_view bytes) {
  if (bytes.size() > 8) return textNode(PickleKind::BigInt, bytes);
  uint64_t value = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0 ? ~uint64_t{0} : 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return intNode(PickleKind::Int, static_cast<int64_t>(value));
}

double bigEndianReal(std::string_view bytes) {
  uint64_t bits = 0;
  for (const char c : bytes) bits = bits << 8 | static_cast<unsigned char>(c);
  return std::bit_cast<double>(bits);
}

}  // namespace

class PickleMachine {
 public:
  PickleMachine(std::string_view bytes, size_t at, PickleGuest& guest, const PickleLimits& limits)
      : m_in(bytes, at), m_bytes(bytes), m_guest(guest), m_limits(limits) {}

  Result<PickleResult> run(const std::string& where) {
    size_t at = m_in.at();
    for (size_t steps = 0;; ++steps) {
      at = m_in.at();
      Result<void> done =
          steps < m_limits.steps
              ? step(m_in.u8())
              : Result<void>(bad("the pickle is too long", fmt::format("more than {} steps", m_limits.steps)));
      if (done && m_in.failed()) done = bad("the pickle breaks off", "the end of the file", "a whole pickle");
      if (done && (m_document.size() > m_limits.values || m_stack.size() > m_limits.values))
        done = bad("the pickle holds too many values", fmt::format("more than {}", m_limits.values));
      if (!done) {
        Error error = done.error();
        error.where = fmt::format("{}: byte {}", where, at);
        return error;
      }
      if (m_done) break;
    }
    PickleResult result;
    result.document = std::move(m_document);
    result.end = m_in.at();
    return result;
  }

 private:
  Result<void> push(PickleNode node) {
    m_stack.push_back(m_document.add(std::move(node)));
    return {};
  }
  size_t floor() const { return m_marks.empty() ? 0 : m_marks.back(); }
  bool has(size_t count) const { return m_stack.size() >= floor() + count; }
  static Error shortStack() { return bad("the pickle takes more values than it put down"); }
  PickleNode& top() { return m_document.m_nodes[m_stack.back()]; }

  Result<std::vector<PickleRef>> toMark() {
    if (m_marks.empty()) return bad("the pickle closes what it did not open");
    std::vector<PickleRef> items(m_stack.begin() + static_cast<std::ptrdiff_t>(m_marks.back()), m_stack.end());
    m_stack.resize(m_marks.back());
    m_marks.pop_back();
    return items;
  }

  Result<void> tuple(size_t count) {
    if (!has(count)) return shortStack();
    PickleNode node{PickleKind::Tuple};
    node.items.assign(m_stack.end() - static_cast<std::ptrdiff_t>(count), m_stack.end());
    m_stack.resize(m_stack.size() - count);
    return push(std::move(node));
  }

  // Moves `items` into the list or dictionary on top.
  Result<void> extend(PickleKind kind, const std::vector<PickleRef>& items) {
    if (!has(1)) return shortStack();
    if (top().kind != kind)
      return bad("the pickle puts items into something else", describePickle(top()),
                 kind == PickleKind::List ? "a list" : "a dictionary", kSaveAgain);
    if (kind == PickleKind::Dict && items.size() % 2 != 0) return bad("the pickle gives a key without a value");
    top().items.insert(top().items.end(), items.begin(), items.end());
    return {};
  }

  Result<void> extendMarked(PickleKind kind) {
    Result<std::vector<PickleRef>> items = toMark();
    if (!items) return items.error();
    return extend(kind, *items);
  }

  Result<void> extendBy(PickleKind kind, size_t count) {
    if (!has(count + 1)) return shortStack();
    const std::vector<PickleRef> items(m_stack.end() - static_cast<std::ptrdiff_t>(count), m_stack.end());
    m_stack.resize(m_stack.size() - count);
    return extend(kind, items);
  }

  Result<void> get(uint32_t key) {
    const auto found = m_memo.find(key);
    if (found == m_memo.end()) return bad("the pickle recalls what it did not keep", fmt::format("memo {}", key));
    m_stack.push_back(found->second);
    return {};
  }

  Result<void> put(uint32_t key) {
    if (!has(1)) return shortStack();
    m_memo[key] = m_stack.back();
    return {};
  }

  Result<void> named(std::string_view module, std::string_view name) {
    if (module.empty() || name.empty() || module.size() > 500 || name.size() > 500)
      return bad("the pickle's name is no name");
    Result<int64_t> known = m_guest.name(fmt::format("{}.{}", module, name));
    if (!known) return known.error();
    return push(intNode(PickleKind::Name, *known));
  }

  std::string_view line() {
    const size_t end = m_bytes.find('\n', m_in.at());
    if (end == std::string_view::npos) {
      m_in.skip(m_in.left() + 1);
      return {};
    }
    const std::string_view text = m_in.bytes(end - m_in.at());
    m_in.skip(1);
    return text;
  }

  Result<void> global() {
    const std::string_view module = line(), name = line();
    if (m_in.failed()) return {};
    return named(module, name);
  }

  Result<void> stackGlobal() {
    if (!has(2)) return shortStack();
    const PickleNode name = top();
    m_stack.pop_back();
    const PickleNode module = top();
    m_stack.pop_back();
    if (name.kind != PickleKind::Text || module.kind != PickleKind::Text) return bad("the pickle's name is no text");
    return named(module.text, name.text);
  }

  Result<void> reduce() {
    if (!has(2)) return shortStack();
    const PickleRef arguments = m_stack.back();
    m_stack.pop_back();
    const PickleNode function = top();
    m_stack.pop_back();
    if (function.kind != PickleKind::Name)
      return bad("the pickle calls something that is no function", describePickle(function), "", kSaveAgain);
    if (m_document[arguments].kind != PickleKind::Tuple) return bad("the pickle calls a function without arguments");
    Result<PickleNode> made = m_guest.call(function.integer, m_document[arguments], m_document);
    if (!made) return made.error();
    return push(std::move(*made));
  }

  Result<void> persistentId() {
    if (!has(1)) return shortStack();
    const PickleRef id = m_stack.back();
    m_stack.pop_back();
    Result<PickleNode> made = m_guest.persistent(m_document[id], m_document);
    if (!made) return made.error();
    return push(std::move(*made));
  }

  // Attributes: PyTorch gives a state dictionary its version table this way. Nothing of it is needed.
  Result<void> build() {
    if (!has(2)) return shortStack();
    m_stack.pop_back();
    if (top().kind != PickleKind::Dict)
      return bad("the pickle sets attributes of an object", describePickle(top()), "a dictionary", kSaveAgain);
    return {};
  }

  Result<void> text(PickleKind kind, uint64_t count) {
    const std::string_view bytes = m_in.bytes(count);
    if (m_in.failed()) return {};
    if (kind == PickleKind::Text && !isValidUtf8(bytes)) return bad("a text of the pickle is not UTF-8", shown(bytes));
    return push(textNode(kind, bytes));
  }

  Result<void> protocol(unsigned version) {
    if (version < 2 || version > 4)
      return bad("the pickle is of another protocol", fmt::format("{}", version), "2, 3 or 4", kSaveAgain);
    return {};
  }

  Result<void> real() {
    const std::string_view bytes = m_in.bytes(8);
    if (m_in.failed()) return {};
    PickleNode node{PickleKind::Float};
    node.real = bigEndianReal(bytes);
    return push(std::move(node));
  }

  Result<void> step(uint8_t code);

  ByteReader m_in;
  std::string_view m_bytes;
  PickleGuest& m_guest;
  const PickleLimits& m_limits;
  PickleDocument m_document;
  std::vector<PickleRef> m_stack;
  std::vector<size_t> m_marks;  // heights of the stack
  std::unordered_map<uint32_t, PickleRef> m_memo;
  bool m_done = false;
};

Result<void> PickleMachine::step(uint8_t code) {
  switch (code) {
    case 0x80: return protocol(m_in.u8());
    case 0x95: m_in.skip(8); return {};  // frame: a hint for readers of streams
    case '(':
      if (m_marks.size() >= m_limits.depth) return bad("the pickle opens too much", fmt::format("{}", m_marks.size()));
      m_marks.push_back(m_stack.size());
      return {};
    case '.':
      if (!has(1) || !m_marks.empty() || m_stack.size() != 1) return bad("the pickle ends in the middle of a value");
      m_document.m_root = m_stack.back();
      m_done = true;
      return {};
    case '0':
      if (!has(1)) return shortStack();
      m_stack.pop_back();
      return {};
    case '1': {
      auto dropped = toMark();
      if (!dropped) return dropped.error();
      return {};
    }
    case '2':
      if (!has(1)) return shortStack();
      m_stack.push_back(m_stack.back());
      return {};
    case 'N': return push({PickleKind::None});
    case 0x88: return push(intNode(PickleKind::Bool, 1));
    case 0x89: return push(intNode(PickleKind::Bool, 0));
    case 'J': return push(intNode(PickleKind::Int, m_in.number<int32_t>()));
    case 'K': return push(intNode(PickleKind::Int, m_in.u8()));
    case 'M': return push(intNode(PickleKind::Int, m_in.u16()));
    case 0x8a: return push(longNode(m_in.bytes(m_in.u8())));
    case 'G': return real();
    case 'X': return text(PickleKind::Text, m_in.u32());
    case 0x8c: return text(PickleKind::Text, m_in.u8());
    case 0x8d: return text(PickleKind::Text, m_in.u64());
    case 'T': return text(PickleKind::Bytes, m_in.u32());
    case 'U': return text(PickleKind::Bytes, m_in.u8());
    case 'B': return text(PickleKind::Bytes, m_in.u32());
    case 'C': return text(PickleKind::Bytes, m_in.u8());
    case ')': return push({PickleKind::Tuple});
    case ']': return push({PickleKind::List});
    case '}': return push({PickleKind::Dict});
    case 0x85: return tuple(1);
    case 0x86: return tuple(2);
    case 0x87: return tuple(3);
    case 't': {
      Result<std::vector<PickleRef>> items = toMark();
      if (!items) return items.error();
      PickleNode node{PickleKind::Tuple};
      node.items = std::move(*items);
      return push(std::move(node));
    }
    case 'a': return extendBy(PickleKind::List, 1);
    case 'e': return extendMarked(PickleKind::List);
    case 's': return extendBy(PickleKind::Dict, 2);
    case 'u': return extendMarked(PickleKind::Dict);
    case 'h': return get(m_in.u8());
    case 'j': return get(m_in.u32());
    case 'q': return put(m_in.u8());
    case 'r': return put(m_in.u32());
    case 0x94: return put(static_cast<uint32_t>(m_memo.size()));
    case 'c': return global();
    case 0x93: return stackGlobal();
    case 'R': return reduce();
    case 'Q': return persistentId();
    case 'b': return build();
    case 'i':
    case 'o':
    case 0x81:
    case 0x92:
      return bad("the pickle makes an object of a class", fmt::format("instruction 0x{:02x}", code),
                 "tensors and plain data", kSaveAgain);
    default:
      if (m_in.failed()) return {};
      return bad("the pickle holds an instruction that is not accepted", fmt::format("0x{:02x}", code),
                 "tensors and plain data", kSaveAgain);
  }
}

const PickleNode* PickleDocument::find(const PickleNode& dict, std::string_view key) const {
  if (dict.kind != PickleKind::Dict) return nullptr;
  for (size_t i = dict.items.size(); i >= 2; i -= 2) {
    const PickleNode& name = m_nodes[dict.items[i - 2]];
    if ((name.kind == PickleKind::Text || name.kind == PickleKind::Bytes) && name.text == key)
      return &m_nodes[dict.items[i - 1]];
  }
  return nullptr;
}

Result<PickleResult> readPickle(std::string_view bytes, size_t at, PickleGuest& guest, const std::string& where,
                                const PickleLimits& limits) {
  return PickleMachine(bytes, at, guest, limits).run(where);
}

std::string describePickle(const PickleNode& node) {
  switch (node.kind) {
    case PickleKind::None: return "nothing";
    case PickleKind::Bool: return node.integer ? "true" : "false";
    case PickleKind::Int: return fmt::format("the number {}", node.integer);
    case PickleKind::BigInt: return "a large number";
    case PickleKind::Float: return fmt::format("the number {}", node.real);
    case PickleKind::Text: return "the text " + shown(node.text);
    case PickleKind::Bytes: return fmt::format("{} bytes", node.text.size());
    case PickleKind::Tuple: return fmt::format("a tuple of {}", node.items.size());
    case PickleKind::List: return fmt::format("a list of {}", node.items.size());
    case PickleKind::Dict: return fmt::format("a dictionary of {}", node.items.size() / 2);
    case PickleKind::Name: return "the name of a function or class";
    case PickleKind::Object: return "a tensor or storage";
  }
  return "something";
}

}  // namespace rankscope

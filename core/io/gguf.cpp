#include "core/io/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/config/text_shown.h"
#include "core/io/byte_reader.h"

namespace rankscope {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint64_t kMaxEntries = 100'000, kMaxTensors = 1'000'000, kMaxArray = 16'000'000, kMaxName = 64'000;
constexpr const char* kDamaged = "Perhaps the download was cut off or the file is damaged: fetch it again.";

Error bad(const std::string& where, std::string what, std::string found = "", std::string expected = "",
          const char* hint = kDamaged) {
  return Error{ErrorCode::BadInput, std::move(what), where, std::move(found), std::move(expected), hint};
}

// Bytes of a number or flag; 0 for texts and arrays.
uint64_t widthOf(GgufType type) {
  switch (type) {
    case GgufType::U8:
    case GgufType::I8:
    case GgufType::Bool: return 1;
    case GgufType::U16:
    case GgufType::I16: return 2;
    case GgufType::U32:
    case GgufType::I32:
    case GgufType::F32: return 4;
    case GgufType::U64:
    case GgufType::I64:
    case GgufType::F64: return 8;
    case GgufType::Text:
    case GgufType::Array: break;
  }
  return 0;
}

template <typename T>
T numberAt(std::string_view raw, uint64_t index) {
  T value;
  std::memcpy(&value, raw.data() + index * sizeof(T), sizeof(T));
  return value;
}

// A version beyond any in use whose bytes, turned round, are a version: written on a big-endian machine.
bool bigEndian(uint32_t version) { return (version & 0xFFFF) == 0 && version != 0; }

class Parser {
 public:
  Parser(std::string_view bytes, const std::string& where)
      : m_in(bytes, kMagic.size()), m_bytes(bytes), m_where(where) {}

  Result<GgufTable> parse() {
    m_table.version = m_in.u32();
    if (bigEndian(m_table.version))
      return bad(m_where, "GGUF file is big-endian", "", "a little-endian file",
                 "Fetch the little-endian variant of the file.");
    if (m_table.version != 2 && m_table.version != 3)
      return bad(m_where, "GGUF file is of another version", fmt::format("{}", m_table.version), "2 or 3",
                 "Convert the model again with a current llama.cpp.");
    const uint64_t tensors = m_in.u64(), entries = m_in.u64();
    if (m_in.failed()) return cutOff("header");
    if (entries > kMaxEntries || tensors > kMaxTensors)
      return bad(m_where, "GGUF file names too many entries or tensors", fmt::format("{} and {}", entries, tensors),
                 fmt::format("at most {} and {}", kMaxEntries, kMaxTensors));
    for (uint64_t i = 0; i < entries; ++i)
      if (auto good = entry(); !good) return good.error();
    if (const GgufValue* value = m_table.find("general.alignment")) {
      const auto alignment = value->integer();
      if (value->isArray() || !alignment || *alignment < 1 || *alignment > 1 << 20 ||
          (*alignment & (*alignment - 1)) != 0)
        return bad(m_where + ": general.alignment", "alignment is no power of two",
                   alignment ? std::to_string(*alignment) : "no number", "1 … 1048576");
      m_table.alignment = static_cast<uint64_t>(*alignment);
    }
    for (uint64_t i = 0; i < tensors; ++i)
      if (auto good = tensor(); !good) return good.error();
    if (auto good = place(); !good) return good.error();
    return std::move(m_table);
  }

 private:
  Error cutOff(const std::string& what) const {
    return bad(m_where + ": " + what, "file ends in the middle of its table");
  }

  Result<std::string_view> text(const std::string& at, uint64_t limit) {
    const uint64_t length = m_in.u64();
    if (m_in.failed() || length > m_in.left()) return cutOff(at);
    if (length > limit)
      return bad(m_where + ": " + at, "text is too long", fmt::format("{} bytes", length),
                 fmt::format("at most {}", limit));
    return m_in.bytes(length);
  }

  Result<void> entry() {
    Result<std::string_view> key = text("a metadata key", kMaxName);
    if (!key) return key.error();
    if (key->empty() || !isValidUtf8(*key)) return bad(m_where, "a metadata key is no text", shown(*key));
    const std::string at = shown(*key);
    GgufValue value;
    Result<GgufType> type = valueType(at);
    if (!type) return type.error();
    value.type = value.itemType = *type;
    if (*type == GgufType::Array) {
      Result<GgufType> items = valueType(at);
      if (!items) return items.error();
      if (*items == GgufType::Array) return bad(m_where + ": " + at, "a list of lists is not accepted");
      value.itemType = *items;
      value.count = m_in.u64();
      if (m_in.failed()) return cutOff(at);
      if (value.count > kMaxArray || value.count > m_in.left())
        return bad(m_where + ": " + at, "list is longer than the file", fmt::format("{} entries", value.count));
    }
    if (value.itemType == GgufType::Text) {
      for (uint64_t i = 0; i < value.count; ++i) {
        Result<std::string_view> item = text(at, m_in.left());
        if (!item) return item.error();
        if (value.isArray())
          value.texts.push_back(*item);
        else
          value.raw = *item;
      }
    } else {
      value.raw = m_in.bytes(value.count * widthOf(value.itemType));
      if (m_in.failed()) return cutOff(at);
      if (value.itemType == GgufType::Bool &&
          std::any_of(value.raw.begin(), value.raw.end(), [](char c) { return c != 0 && c != 1; }))
        return bad(m_where + ": " + at, "flag is neither true nor false");
    }
    if (!m_table.metadata.emplace(std::string(*key), std::move(value)).second)
      return bad(m_where + ": " + at, "metadata key is given twice");
    return {};
  }

  Result<GgufType> valueType(const std::string& at) {
    const uint32_t type = m_in.u32();
    if (m_in.failed()) return cutOff(at);
    if (type > static_cast<uint32_t>(GgufType::F64))
      return bad(m_where + ": " + at, "value has an unknown type", fmt::format("{}", type), "0 … 12");
    return static_cast<GgufType>(type);
  }

  Result<void> tensor() {
    Result<std::string_view> name = text("a tensor's name", 1000);
    if (!name) return name.error();
    const std::string at = m_where + ": tensor " + shown(*name);
    if (name->empty() || !isValidUtf8(*name) || !m_names.insert(*name).second)
      return bad(at, "tensor's name is empty, no text, or given twice");
    GgufTensor tensor;
    tensor.name = std::string(*name);
    const uint32_t dimensions = m_in.u32();
    if (m_in.failed()) return cutOff("a tensor");
    if (dimensions < 1 || dimensions > 4)
      return bad(at, "tensor has too many dimensions or none", fmt::format("{}", dimensions), "1 … 4");
    uint64_t elements = 1;
    for (uint32_t i = 0; i < dimensions; ++i) {
      const uint64_t size = m_in.u64();
      if (size == 0 || __builtin_mul_overflow(elements, size, &elements) ||
          elements > static_cast<uint64_t>(INT64_MAX) / 16)
        return m_in.failed() ? cutOff("a tensor")
                             : bad(at, "tensor's shape is empty or too large", fmt::format("{}", size));
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
    }
    const uint32_t type = m_in.u32();
    tensor.begin = m_in.u64();
    if (m_in.failed()) return cutOff("a tensor");
    tensor.type = findGgmlType(type);
    if (!tensor.type || tensor.type->blockBytes == 0)
      return bad(at, "tensor's number format is not read here",
                 tensor.type ? tensor.type->name : fmt::format("{}", type),
                 "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K",
                 "Fetch the model in one of these formats, or its safetensors.");
    if (static_cast<uint64_t>(tensor.shape.back()) % tensor.type->blockElements != 0)
      return bad(at, "tensor's rows are no whole blocks", fmt::format("{}", tensor.shape.back()),
                 fmt::format("a multiple of {}", tensor.type->blockElements));
    tensor.bytes = elements / tensor.type->blockElements * tensor.type->blockBytes;
    m_table.tensors.push_back(std::move(tensor));
    return {};
  }

  // Tensors follow each other, each padded to the alignment; the last one's padding may be missing.
  Result<void> place() {
    const uint64_t mask = m_table.alignment - 1;
    const uint64_t start = (m_in.at() + mask) & ~mask;
    if (m_table.tensors.empty()) return {};
    if (start > m_bytes.size()) return bad(m_where, "file ends before its tensors");
    uint64_t expected = 0;
    for (GgufTensor& tensor : m_table.tensors) {
      const std::string at = m_where + ": tensor " + shown(tensor.name);
      if (tensor.begin != expected)
        return bad(at, tensor.begin > expected ? "a hole lies before the tensor" : "tensors overlap",
                   fmt::format("offset {}", tensor.begin), fmt::format("offset {}", expected));
      if (expected > m_bytes.size() - start || tensor.bytes > m_bytes.size() - start - expected)
        return bad(at, "file ends before its tensors do", fmt::format("{} bytes", m_bytes.size()),
                   fmt::format("{} bytes of this tensor", tensor.bytes));
      tensor.begin += start;
      expected = (expected + tensor.bytes + mask) & ~mask;
    }
    if (const uint64_t used = std::min<uint64_t>(start + expected, m_bytes.size()); used != m_bytes.size())
      return bad(m_where, "bytes follow the last tensor", fmt::format("{}", m_bytes.size() - used), "none");
    return {};
  }

  ByteReader m_in;
  std::string_view m_bytes;
  const std::string& m_where;
  GgufTable m_table;
  std::set<std::string_view> m_names;
};

}  // namespace

std::optional<int64_t> GgufValue::integer(uint64_t index) const {
  if (index >= count || itemType == GgufType::Text) return std::nullopt;
  switch (itemType) {
    case GgufType::Bool:
    case GgufType::U8: return numberAt<uint8_t>(raw, index);
    case GgufType::I8: return numberAt<int8_t>(raw, index);
    case GgufType::U16: return numberAt<uint16_t>(raw, index);
    case GgufType::I16: return numberAt<int16_t>(raw, index);
    case GgufType::U32: return numberAt<uint32_t>(raw, index);
    case GgufType::I32: return numberAt<int32_t>(raw, index);
    case GgufType::I64: return numberAt<int64_t>(raw, index);
    case GgufType::U64: {
      const auto value = numberAt<uint64_t>(raw, index);
      if (value > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default: return std::nullopt;
  }
}

std::optional<double> GgufValue::real(uint64_t index) const {
  if (index < count && itemType == GgufType::F32) return numberAt<float>(raw, index);
  if (index < count && itemType == GgufType::F64) return numberAt<double>(raw, index);
  if (const auto whole = integer(index)) return static_cast<double>(*whole);
  return std::nullopt;
}

const GgufValue* GgufTable::find(std::string_view key) const {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : &found->second;
}

std::string GgufTable::text(std::string_view key) const {
  const GgufValue* value = find(key);
  return value && value->type == GgufType::Text ? std::string(value->raw) : std::string();
}

std::optional<int64_t> GgufTable::integer(std::string_view key) const {
  const GgufValue* value = find(key);
  return value && !value->isArray() ? value->integer() : std::nullopt;
}

std::optional<double> GgufTable::real(std::string_view key) const {
  const GgufValue* value = find(key);
  return value && !value->isArray() ? value->real() : std::nullopt;
}

bool looksLikeGguf(std::string_view start) { return start.substr(0, kMagic.size()) == kMagic; }

Result<GgufTable> parseGguf(std::string_view bytes, const std::string& where) {
  if (!looksLikeGguf(bytes)) return bad(where, "file is no GGUF file", shown(bytes.substr(0, 8)), "GGUF");
  return Parser(bytes, where).parse();
}

}  // namespace rankscope

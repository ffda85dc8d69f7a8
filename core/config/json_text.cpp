#include "core/config/json_text.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "core/config/files.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

using nlohmann::json;

// Nesting is counted before parsing, since nlohmann's writer and comparison recurse. Returns the offset at which the
// document gets too deep.
size_t tooDeepAt(std::string_view text) {
  int depth = 0;
  bool inText = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (inText) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inText = false;
    } else if (c == '"') {
      inText = true;
    } else if (c == '{' || c == '[') {
      if (++depth > limits::kJsonDepth) return i;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return std::string_view::npos;
}

std::string position(std::string_view text, size_t offset) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < std::min(offset, text.size()); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return fmt::format("line {}, column {}", line, column);
}

// The library's texts open with its error number and its own idea of the place; what follows is for people.
std::string reasonOf(const json::exception& error) {
  std::string reason = error.what();
  if (const size_t bracket = reason.find("] "); bracket != std::string::npos && reason[0] == '[')
    reason.erase(0, bracket + 2);
  if (reason.starts_with("parse error"))
    if (const size_t colon = reason.find(": "); colon != std::string::npos) reason.erase(0, colon + 2);
  return cleanUtf8(reason, 300);
}

Error notJson(const std::string& where, std::string found) {
  return {ErrorCode::BadInput,
          "not valid JSON",
          where,
          std::move(found),
          "one well-formed JSON document",
          "Correct the document at this place; perhaps the file is cut off, or is another kind of file."};
}

// Builds the document while counting, so that a small file cannot grow into a deep or huge tree.
class BoundedBuilder : public nlohmann::json_sax<json> {
 public:
  BoundedBuilder(json& root, const JsonLimits& limits) : m_root(root), m_limits(limits) {}

  bool null() override { return put(nullptr) != nullptr; }
  bool boolean(bool value) override { return put(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return put(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return put(value) != nullptr; }
  bool number_float(number_float_t value, const string_t&) override { return put(value) != nullptr; }
  bool string(string_t& value) override { return put(std::move(value)) != nullptr; }
  bool binary(binary_t&) override { return fail("binary value"); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    if (!m_limits.allowRepeatedKeys && m_stack.back()->contains(value))
      return fail(fmt::format("key {} appears twice in one object", shown(value)));
    m_key = std::move(value);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) override {
    m_position = position > 0 ? position - 1 : 0;
    m_problem = reasonOf(error);
    return false;
  }
  const std::string& problem() const { return m_problem; }
  // Offset of a syntax error; none for a limit or a repeated key.
  std::optional<size_t> position() const { return m_position; }

 private:
  bool fail(std::string text) {
    m_problem = std::move(text);
    return false;
  }
  template <typename Value>
  json* put(Value&& value) {
    if (++m_count > m_limits.maxValues) {
      fail(fmt::format("more than {} values", m_limits.maxValues));
      return nullptr;
    }
    if (m_stack.empty()) {
      m_root = json(std::forward<Value>(value));
      return &m_root;
    }
    json* parent = m_stack.back();
    if (parent->is_array()) {
      parent->push_back(json(std::forward<Value>(value)));
      return &parent->back();
    }
    json& slot = (*parent)[m_key];
    slot = json(std::forward<Value>(value));
    return &slot;
  }
  bool open(json container) {
    if (static_cast<int>(m_stack.size()) >= m_limits.maxDepth)
      return fail(fmt::format("nested deeper than {} levels", m_limits.maxDepth));
    json* slot = put(std::move(container));
    if (!slot) return false;
    m_stack.push_back(slot);
    return true;
  }
  bool close() {
    m_stack.pop_back();
    return true;
  }

  json& m_root;
  const JsonLimits& m_limits;
  // Pointers into the tree stay valid: while a container is open only its last element grows.
  std::vector<json*> m_stack;
  std::string m_key;
  std::string m_problem;
  size_t m_count = 0;
  std::optional<size_t> m_position;
};

}  // namespace

Result<json> parseJson(std::string_view text, const std::string& where, const JsonLimits& limits) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte-order mark, as some editors leave
  if (text.size() > limits.maxBytes)
    return Error{ErrorCode::BadInput,
                 "JSON text is too large",
                 where,
                 fmt::format("{} bytes", text.size()),
                 fmt::format("at most {} bytes", limits.maxBytes),
                 "Check that this is the right file."};
  // The library would take off one more.
  if (text.starts_with("\xEF\xBB\xBF")) return notJson(where, "a second byte-order mark");
  // The library takes a zero byte for the end of the text and would ignore what follows.
  if (const size_t at = text.find('\0'); at != std::string_view::npos)
    return notJson(where + ", " + position(text, at), "a zero byte");
  json root;
  BoundedBuilder builder(root, limits);
  try {
    if (json::sax_parse(text.begin(), text.end(), &builder)) return root;
  } catch (const json::exception& error) {
    return notJson(where, reasonOf(error));
  }
  return notJson(builder.position() ? where + ", " + position(text, *builder.position()) : where, builder.problem());
}

Result<json> readJsonFile(const std::filesystem::path& path, const JsonLimits& limits) {
  const Result<std::string> bytes = readFileBounded(path, limits.maxBytes);
  if (!bytes) return bytes.error();
  return parseJson(*bytes, pathText(path), limits);
}

Result<json> parseJsonRecord(std::string_view text, const std::string& where) {
  // nlohmann's parser is iterative, its writer, comparison and destructor recurse: depth is checked before.
  const bool plain = tooDeepAt(text) == std::string_view::npos && text.find('\0') == std::string_view::npos;
  if (plain)
    if (json document = json::parse(text, nullptr, false); !document.is_discarded()) return document;
  JsonLimits limits;  // the slow reader again, for the place and the reason
  limits.maxBytes = limits.maxValues = SIZE_MAX;
  limits.allowRepeatedKeys = true;
  return parseJson(text, where, limits);
}

std::string jsonText(const json& document, int indent) {
  return document.dump(indent, ' ', false, json::error_handler_t::replace);
}

std::string describeJson(const json& value) {
  switch (value.type()) {
    case json::value_t::null: return "null";
    case json::value_t::boolean: return value.get<bool>() ? "true" : "false";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
    case json::value_t::number_float: return value.dump();
    case json::value_t::string: return "\"" + cleanUtf8(value.get_ref<const std::string&>(), 80) + "\"";
    case json::value_t::array: return fmt::format("a list of {}", value.size());
    case json::value_t::object: return "an object";
    case json::value_t::binary:
    case json::value_t::discarded: break;
  }
  return "something else";
}

}  // namespace rankscope

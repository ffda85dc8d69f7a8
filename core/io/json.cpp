#include "core/io/json.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "core/config/files.h"
#include "core/io/text_shown.h"

namespace rankscope {
namespace {

using nlohmann::json;

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
    m_position = position;
    if (m_problem.empty()) m_problem = error.what();
    // The library's text opens with its own error number; what follows the bracket is for people.
    if (const size_t bracket = m_problem.find("] "); bracket != std::string::npos && m_problem[0] == '[')
      m_problem.erase(0, bracket + 2);
    return false;
  }
  const std::string& problem() const { return m_problem; }

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
  size_t m_position = 0;
};

}  // namespace

Result<json> parseBoundedJson(std::string_view bytes, const std::string& where, const JsonLimits& limits) {
  if (bytes.size() > limits.maxBytes)
    return Error{ErrorCode::BadInput, "JSON text is too large", where, fmt::format("{} bytes", bytes.size()),
                 fmt::format("at most {} bytes", limits.maxBytes), "Check that this is the right file."};
  // The library takes a zero byte for the end of the text and would ignore what follows.
  if (bytes.find('\0') != std::string_view::npos)
    return Error{ErrorCode::BadInput, "not valid JSON", where, "a zero byte in the text", "one well-formed JSON document",
                 "Perhaps the file is cut off, or is another kind of file."};
  json root;
  BoundedBuilder builder(root, limits);
  bool ok = false;
  std::string thrown;
  try {
    ok = json::sax_parse(bytes.begin(), bytes.end(), &builder);
  } catch (const std::exception& error) {
    thrown = error.what();
  }
  if (!ok) {
    const std::string& why = thrown.empty() ? builder.problem() : thrown;
    return Error{ErrorCode::BadInput, "not valid JSON", where, shown(why, 300), "one well-formed JSON document",
                 "Perhaps the file is cut off, or is another kind of file."};
  }
  return root;
}

Result<json> readJsonFile(const std::filesystem::path& path, const JsonLimits& limits) {
  Result<std::string> bytes = readFileBounded(path, limits.maxBytes);
  if (!bytes) return bytes.error();
  std::string_view text = *bytes;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return parseBoundedJson(text, path.string(), limits);
}

}  // namespace rankscope

#pragma once
// What a tokenizer looks for in a text: a literal or a regular expression. Expressions are written for Oniguruma (as the
// tokenizers library uses it) and run by ICU with the flags that make both mean the same; what would not mean the same is
// refused. Matching may be done by any number of threads at once.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/result.h"
#include "core/text/component_settings.h"

namespace rankscope {

struct ByteRange {
  size_t begin = 0, end = 0;
};

class TextPattern {
 public:
  ~TextPattern();
  TextPattern(const TextPattern&) = delete;
  TextPattern& operator=(const TextPattern&) = delete;

  static std::unique_ptr<TextPattern> literal(std::string text);
  static Result<std::unique_ptr<TextPattern>> expression(const std::string& text, const std::string& where);
  // {"String": "…"}, {"Regex": "…"} or a text of its own, under `key`.
  static Result<std::unique_ptr<TextPattern>> read(ComponentSettings& settings, const char* key);

  // Calls visit(piece number, match) for every match, in order, inside each of the pieces (ascending, well-formed text);
  // nothing outside a piece is looked at. A search that exhausts its memory or time ends without further matches.
  void search(std::string_view text, const std::vector<ByteRange>& pieces,
              const std::function<void(size_t, ByteRange)>& visit) const;

  const std::string& source() const { return m_source; }
  bool isExpression() const { return m_expression != nullptr; }

 private:
  TextPattern() = default;
  void* borrow() const;
  void giveBack(void* matcher) const;

  std::string m_source;
  void* m_expression = nullptr;  // URegularExpression, never matched with itself; clones are
  mutable std::mutex m_mutex;
  mutable std::vector<void*> m_idle;  // clones
};

}  // namespace rankscope

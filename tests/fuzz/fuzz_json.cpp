// Any bytes as foreign JSON under tight limits: refused with a hint, or a document within the limits.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/data/readers.h"
#include "core/config/json_text.h"

using namespace rankscope;

namespace {

size_t measure(const nlohmann::json& value, int depth, int& deepest) {
  deepest = std::max(deepest, depth);
  size_t count = 1;
  if (value.is_structured())
    for (const auto& child : value) count += measure(child, depth + 1, deepest);
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  JsonLimits limits;
  limits.maxDepth = 12;
  limits.maxValues = 500;
  const Result<nlohmann::json> document = parseJson(text, "fuzz", limits);
  if (!document) {
    if (document.error().hint.empty()) std::abort();
  } else {
    int deepest = 0;
    if (measure(*document, 0, deepest) > limits.maxValues || deepest > limits.maxDepth) std::abort();
    // The scanner that cuts a list into elements must agree with the parser on where a whole value ends.
    const size_t front = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;  // a byte-order mark is taken off before
    const size_t begin = text.find_first_not_of(" \t\r\n", front), last = text.find_last_not_of(" \t\r\n");
    if (endOfJsonValue(text, begin) != last + 1) std::abort();
  }
  for (const size_t at : {size_t{0}, size / 2}) {
    const size_t end = endOfJsonValue(text, at);
    if (end != std::string_view::npos && end > size) std::abort();
  }
  return 0;
}

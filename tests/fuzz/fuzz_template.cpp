// Any text as a prompt template: refused with a hint, or rendered for full and empty rows.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/data/prompt_template.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<std::string> columns{"a", "input", "#x"};
  const Result<PromptTemplate> made = PromptTemplate::parse({reinterpret_cast<const char*>(data), size}, columns);
  if (!made) {
    if (made.error().hint.empty()) std::abort();
    return 0;
  }
  const Row full{1, 1, {"A", "I", "X"}}, empty{2, 2, {std::nullopt, "", std::nullopt}};
  // Every cell is one byte long: the text cannot be longer than the template, and an empty row's not longer than that.
  const size_t length = made->render(full).size();
  if (length > size || made->render(empty).size() > length) std::abort();
  made->render(Row{});
  return 0;
}

// Any text as a model's chat template: refused with a hint, or rendered within its bounds.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "core/text/jinja.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const nlohmann::json variables{
      {"messages", {{{"role", "user"}, {"content", " Hi "}}, {{"role", "assistant"}, {"content", "<think>a</think>b"}}}},
      {"tools", nullptr}, {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"add_generation_prompt", true},
      {"a", "text"}, {"n", 3}, {"list", {"x", "y"}}, {"o", {{"k", "v"}}}};
  const Result<JinjaTemplate> made = JinjaTemplate::parse({reinterpret_cast<const char*>(data), size});
  if (!made) {
    if (made.error().hint.empty()) std::abort();
    return 0;
  }
  const Result<JinjaOutput> output = made->render(variables);
  if (output ? output->text.size() > (8u << 20) : output.error().hint.empty()) std::abort();
  return 0;
}

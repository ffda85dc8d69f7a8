// Any bytes as a config: refused with a hint, or taken; what is taken can be validated, written and read back equal.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/config/json_text.h"
#include "core/config/run_config.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Result<nlohmann::json> document = parseJson(text, "fuzz");
  if (!document) {
    if (document.error().hint.empty()) std::abort();
    return 0;
  }
  const ParsedConfig parsed = RunConfig::read(*document);
  for (const ValidationIssue& issue : parsed.issues)
    if (issue.error.hint.empty()) std::abort();
  for (const ValidationIssue& issue : validate(parsed.config))
    if (issue.error.hint.empty() || issue.key.empty()) std::abort();

  const Result<RunConfig> again = RunConfig::parse(*parseJson(jsonText(parsed.config.toJson()), "again"));
  if (!again || !(*again == parsed.config)) std::abort();
  // The command line says the same. Zero bytes cannot be in an argument and are refused by validate().
  RunConfig typed;
  for (const OptionSpec& option : optionTable())
    if (!typed.setText(option.key, parsed.config.valueText(option.key))) std::abort();
  if (!(typed == parsed.config)) std::abort();
  commandText(parsed.config);
  return 0;
}

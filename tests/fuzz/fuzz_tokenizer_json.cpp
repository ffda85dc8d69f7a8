// tokenizer.json and a text in one input, split at a zero byte.
#include "core/text/tokenizer_json.h"
#include "fuzz_file.h"
#include "fuzz_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const auto path = fuzzFile("tokenizer.json", input.substr(0, zero));
  fuzzTokenizer(rankscope::loadTokenizerJson(path), zero == std::string_view::npos ? std::string_view("The fox.") : input.substr(zero + 1));
  return 0;
}

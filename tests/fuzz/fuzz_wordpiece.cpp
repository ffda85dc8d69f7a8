// A vocabulary and a text in one input, split at a zero byte; a vocabulary that opens with { is read as tokenizer.json.
#include "core/text/registry.h"
#include "fuzz_file.h"
#include "fuzz_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const std::string_view vocabulary = input.substr(0, zero);
  const auto path = fuzzFile(vocabulary.starts_with('{') ? "tokenizer.json" : "vocab.txt", vocabulary);
  fuzzTokenizer(rankscope::loadTokenizer(path), zero == std::string_view::npos ? std::string_view("The fox.") : input.substr(zero + 1));
  return 0;
}

// A vocabulary and a text in one input, split at a zero byte; a vocabulary that opens with { is read as tokenizer.json.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/text/registry.h"
#include "fuzz_file.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const std::string_view vocabulary = input.substr(0, zero);
  const std::string_view text = zero == std::string_view::npos ? std::string_view("The fox.") : input.substr(zero + 1);
  const auto path = fuzzFile(vocabulary.starts_with('{') ? "tokenizer.json" : "vocab.txt", vocabulary);
  const Result<std::unique_ptr<Tokenizer>> tokenizer = loadTokenizer(path);
  if (!tokenizer) {
    if (tokenizer.error().hint.empty()) std::abort();
    return 0;
  }
  for (const size_t limit : {size_t{0}, size_t{5}}) {
    const Encoding encoding = (*tokenizer)->encodePair(text, text.substr(0, text.size() / 2), {.maxTokens = limit});
    if (limit > 0 && encoding.size() > limit) std::abort();
    if (encoding.typeIds.size() != encoding.size() || encoding.spans.size() != encoding.size()) std::abort();
    for (size_t i = 0; i < encoding.size(); ++i)
      if (encoding.ids[i] < 0 || encoding.ids[i] >= (*tokenizer)->vocabSize() || encoding.spans[i].end > text.size()) std::abort();
    (*tokenizer)->decode(encoding.ids);
  }
  return 0;
}

// Any bytes as a SentencePiece model: refused with a hint, or a tokenizer whose ids and spans stay inside their bounds on
// hard texts. Found crashes of the library are what the check of the model before loading is for.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/text/registry.h"
#include "core/text/sentencepiece.h"
#include "fuzz_file.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::filesystem::path path = fuzzFile("tokenizer.model", {reinterpret_cast<const char*>(data), size});
  const Result<std::unique_ptr<Tokenizer>> tokenizer = loadSentencePiece(path);
  if (!tokenizer) {
    if (tokenizer.error().hint.empty()) std::abort();
    return 0;
  }
  static constexpr char kHard[] = "  two\tÀé 你 </s> <s>\xff\xfe\x00z";
  for (const std::string& text : {std::string("the cat sat\non the mat"), std::string(kHard, sizeof(kHard) - 1), std::string(300, 'a')}) {
    const Encoding encoding = (*tokenizer)->encode(text);
    if (encoding.ids.size() != encoding.spans.size()) std::abort();
    for (size_t i = 0; i < encoding.size(); ++i)
      if (encoding.ids[i] < 0 || encoding.ids[i] >= (*tokenizer)->vocabSize() || encoding.spans[i].end < encoding.spans[i].begin ||
          encoding.spans[i].end > text.size())
        std::abort();
    (*tokenizer)->decode(encoding.ids);
  }
  return 0;
}

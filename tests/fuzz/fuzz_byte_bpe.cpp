// GPT-2's files and tiktoken's ranks: an input that opens with { is vocab.json and, behind a zero byte, merges.txt; others
// are ranks.
#include "core/text/byte_bpe.h"
#include "core/text/tiktoken.h"
#include "fuzz_file.h"
#include "fuzz_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (!input.starts_with('{')) {
    const auto path = fuzzFile("tokenizer.model", input);
    (void)rankscope::isTiktokenFile(path);
    fuzzTokenizer(rankscope::loadTiktoken(path), "The fox.");
    return 0;
  }
  const size_t zero = input.find('\0');
  fuzzFile("merges.txt", zero == std::string_view::npos ? std::string_view() : input.substr(zero + 1));
  fuzzTokenizer(rankscope::loadByteBpe(fuzzFile("vocab.json", input.substr(0, zero))), "ab abc");
  return 0;
}

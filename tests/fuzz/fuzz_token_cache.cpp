// Any bytes as a file of the token cache: not used, or sequences whose ids a model can take. The checksum is made right
// first, or nothing behind it would ever be tried.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/data/token_cache.h"
#include "core/io/sha256.h"
#include "fuzz_file.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  fuzzFile("cache.tokens", "RSTOKEN1" + sha256Hex(body) + body);
  const std::optional<PreparedFile> file = TokenCache(fuzzFolder(), "cache").load(100);
  if (!file) return 0;
  for (size_t i = 0; i < file->set.size(); ++i) {
    const ExampleView example = file->set[i];
    for (size_t t = 0; t < example.length(); ++t)
      if (example.ids[t] < 0 || example.ids[t] >= 100 || (example.label(t) != kIgnoreLabel && example.label(t) != example.ids[t]))
        std::abort();
  }
  file->statistics.histogram();
  return 0;
}

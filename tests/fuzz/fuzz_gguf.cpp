// Any bytes as a GGUF file: refused with a hint, or a table whose tensors lie within the file and can all be decoded,
// and a config that is whole or refused.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/io/gguf_model.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Result<GgufTable> table = parseGguf(bytes, "fuzz");
  if (!table) {
    if (table.error().hint.empty()) std::abort();
    return 0;
  }
  std::vector<float> block(256);
  for (const GgufTensor& tensor : table->tensors) {
    if (tensor.bytes > size || tensor.begin > size - tensor.bytes || tensor.bytes % tensor.type->blockBytes != 0)
      std::abort();
    for (uint64_t at = 0; tensor.type->decode && at < tensor.bytes; at += tensor.type->blockBytes)
      tensor.type->decode(data + tensor.begin + at, block.data());
  }
  for (const auto& [key, value] : table->metadata)
    for (uint64_t i = 0; i < value.count && i < 4; ++i) value.real(i);
  const Result<nlohmann::json> config = ggufModelConfig(*table, "fuzz", bytes);
  if (!config && config.error().hint.empty()) std::abort();
  if (config && !config->contains("vocab_size")) std::abort();
  return 0;
}

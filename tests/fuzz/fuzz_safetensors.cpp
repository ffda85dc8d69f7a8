// Any bytes as a safetensors file: refused with a hint, or a header whose tensors tile the file exactly.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/io/safetensors_header.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<SafetensorsHeader> header = parseSafetensorsHeader({reinterpret_cast<const char*>(data), size}, size, "fuzz");
  if (!header) {
    if (header.error().hint.empty()) std::abort();
    return 0;
  }
  uint64_t at = 0;
  for (const TensorInfo& tensor : header->tensors) {
    if (tensor.begin != at || tensor.elements() * static_cast<uint64_t>(dtypeBits(tensor.dtype)) != (tensor.end - at) * 8) std::abort();
    at = tensor.end;
  }
  if (header->dataStart + at != size) std::abort();
  return 0;
}

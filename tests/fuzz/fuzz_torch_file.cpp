// Any bytes as a PyTorch checkpoint, either format: refused with a hint, or a table whose tensors lie within the file.
#include <cstdint>
#include <cstdlib>

#include "core/io/torch_file.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<TorchLayout> layout = parseTorchFile({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!layout) {
    if (layout.error().hint.empty()) std::abort();
    return 0;
  }
  for (const auto& [name, tensor] : layout->state.tensors) {
    uint64_t last = tensor.offset;
    bool empty = false;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      empty = empty || tensor.shape[i] == 0;
      if (tensor.shape[i] > 0)
        last += static_cast<uint64_t>(tensor.shape[i] - 1) * static_cast<uint64_t>(tensor.strides[i]);
    }
    const uint64_t width = static_cast<uint64_t>(dtypeBits(tensor.dtype)) / 8;
    if (!empty && layout->storageAt.at(tensor.storage) + (last + 1) * width > size) std::abort();
  }
  return 0;
}

// Any bytes as PyTorch's pickle: refused with a hint, or a document whose references exist and whose tensors stay
// within their storages.
#include <cstdint>
#include <cstdlib>

#include "core/io/torch_pickle.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  TorchPickle pickle;
  PickleLimits limits;
  limits.steps = limits.values = 100'000;
  const Result<PickleResult> result =
      readPickle({reinterpret_cast<const char*>(data), size}, 0, pickle, "fuzz", limits);
  if (!result) {
    if (result.error().hint.empty()) std::abort();
    return 0;
  }
  if (result->end > size) std::abort();
  for (PickleRef i = 0; i < result->document.size(); ++i)
    for (const PickleRef item : result->document[i].items)
      if (item >= result->document.size()) std::abort();
  const Result<TorchState> state = torchState(result->document, pickle, "fuzz");
  if (!state) {
    if (state.error().hint.empty()) std::abort();
    return 0;
  }
  for (const auto& [name, tensor] : state->tensors) {
    const uint64_t width = static_cast<uint64_t>(dtypeBits(tensor.dtype)) / 8,
                   bytes = pickle.storages().at(tensor.storage).bytes;
    uint64_t last = tensor.offset;
    bool empty = false;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      empty = empty || tensor.shape[i] == 0;
      if (tensor.shape[i] > 0)
        last += static_cast<uint64_t>(tensor.shape[i] - 1) * static_cast<uint64_t>(tensor.strides[i]);
    }
    if (!empty && (last + 1) * width > bytes) std::abort();
  }
  return 0;
}

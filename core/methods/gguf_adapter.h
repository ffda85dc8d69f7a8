#pragma once
// An adapter in the layout that llama.cpp loads beside a GGUF model (--lora): general.type "adapter", one alpha for
// all, tensors <site>.weight.lora_a [r, in] and .lora_b [out, r] under GGUF's names, rows in GGUF's rotary order. What
// one alpha cannot say (root scaling, patterns) is multiplied into B. Free functions, any thread.

#include <filesystem>
#include <string>

#include "core/methods/method.h"

namespace rankscope {

struct GgufAdapterReport {
  int64_t sites = 0;
  uint64_t bytes = 0;
};

// The error names what the layout cannot hold: another model family, sites without a name there, weights that train
// whole (heads, biases, saved modules), full fine-tuning.
Result<GgufAdapterReport> writeGgufAdapter(const std::filesystem::path& file, const Method& method, const Model& model,
                                           const std::string& name);

// Adds what such a file holds to the weights of a plain model, as llama.cpp does: to check what was written.
Result<GgufAdapterReport> applyGgufAdapter(const std::filesystem::path& file, Model& model);

}  // namespace rankscope

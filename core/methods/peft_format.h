#pragma once
// PEFT's adapter folder: adapter_config.json and the names of tensors in adapter_model.safetensors, so that adapters go
// to and fro between PEFT and this program unchanged. Free functions, any thread.

#include <filesystem>
#include <memory>
#include <string>

#include "core/methods/method.h"

namespace rankscope {

inline constexpr const char* kPeftPrefix = "base_model.model.";

// What every adapter's config says: base model, task, modules saved whole.
nlohmann::json commonPeftConfig(const MethodSettings& settings, const Model& model, const std::string& basePath);

struct PeftConfigInput {
  const MethodSettings& settings;
  const Model& model;
  const std::string& basePath;
  bool rootScaling = false;  // alpha / sqrt(r)
  int64_t rankFactor = 1;    // on every rank and alpha
  std::vector<std::string> convolutions{};  // names of all adapted sites, where one is a convolution
};
nlohmann::json peftConfig(const PeftConfigInput& input);

// The model's own name of a tensor in a PEFT file: without the prefix, the adapter's name and the wrappers that PEFT
// puts around saved modules and adapted layers.
std::string plainPeftName(const std::string& name);

// Settings of the method ("lora", "rora" with use_rslora, "dora" with use_dora, "adalora") that an
// adapter_config.json describes. Kinds of adapters that are not built here (LoHa, IA3, …) are refused by name.
Result<MethodSettings> settingsFromPeftConfig(const nlohmann::json& config);

// Writes adapter_config.json and adapter_model.safetensors into `folder` (created when absent).
Result<void> saveAdapterFolder(const std::filesystem::path& folder, const Method& method, const Model& model,
                               const std::string& basePath);
// Reads such a folder and attaches its adapter to the model.
Result<std::unique_ptr<Method>> loadAdapterFolder(const std::filesystem::path& folder, Model& model);

}  // namespace rankscope

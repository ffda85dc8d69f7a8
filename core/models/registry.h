#pragma once
// Model families by config.json's `model_type`.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/models/model.h"

namespace rankscope {

// What a family tells without building a model (headers only), for pickers and estimates.
struct SiteShape {
  std::string name;  // "model.layers.0.self_attn.q_proj"
  std::string kind;  // "q_proj"
  int64_t layer = -1, inFeatures = 0, outFeatures = 0;
  bool hasBias = false;
};

struct ModelFamily {
  std::string modelType;                 // "llama"
  std::string title;                     // "LLaMA"
  std::vector<HeadKind> heads;           // heads this family can carry
  std::vector<std::string> defaultTargets;  // target_modules PEFT would choose: {"q_proj", "v_proj"}
  // Loads config.json + safetensors from a folder.
  Result<std::unique_ptr<Model>> (*load)(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options);
  Result<std::vector<SiteShape>> (*siteShapes)(const nlohmann::json& config);
};

const std::vector<ModelFamily>& modelFamilies();
// By model_type; the error names the families there are.
Result<const ModelFamily*> findModelFamily(const std::string& modelType);
// Reads config.json, picks the family, loads.
Result<std::unique_ptr<Model>> loadModel(const std::filesystem::path& folder, const ModelLoadOptions& options);
// Reads and checks config.json (size-bounded).
Result<nlohmann::json> readModelConfig(const std::filesystem::path& folder);

}  // namespace rankscope

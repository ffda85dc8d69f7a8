#pragma once
// Model families by config.json's `model_type`.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/models/model.h"

namespace rankscope {

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

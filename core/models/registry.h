#pragma once
// Model families by config.json's `model_type`.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/models/model.h"

namespace rankscope {

const char* headName(HeadKind head);  // as in model.head: "causal_lm", "token_span", …; "none"
HeadKind headOfName(const std::string& name);  // None for a name that is not known

// What a classification head that the checkpoint does not bring consists of.
enum class NewClassifier {
  Weight,           // [classes, hidden]
  WeightAndBias,    // and a bias
  DenseThenOutput,  // a dense map with bias in front of it
};
constexpr int64_t newClassifierParameters(NewClassifier kind, int64_t hidden, int64_t classes) {
  return classes * (hidden + (kind == NewClassifier::Weight ? 0 : 1)) +
         (kind == NewClassifier::DenseThenOutput ? hidden * (hidden + 1) : 0);
}

struct ModelFamily {
  std::string modelType;                    // "llama"
  std::string title;                        // "LLaMA"
  std::vector<HeadKind> heads;              // heads this family can carry
  std::vector<std::string> defaultTargets;  // target_modules PEFT would choose: {"q_proj", "v_proj"}
  NewClassifier newClassifier;
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

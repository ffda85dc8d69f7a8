#pragma once
// Model families by config.json's `model_type`.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/io/weight_file.h"
#include "core/models/model.h"

namespace rankscope {

const char* headName(HeadKind head);  // as in model.head: "causal_lm", "token_span", …; "none"
HeadKind headOfName(const std::string& name);  // None for a name that is not known

// What a pass of an image model needs and keeps, for estimates; values are counted for one image.
struct ImagePass {
  int64_t channels = 3;
  int64_t usualSide = 224;    // of the images that this network was made for
  // A site whose result has so many places (height · width); of `kept`, so much belongs to what comes before its input.
  struct Site {
    std::string name;
    int64_t places = 0, keptBefore = 0;
  };
  std::vector<Site> sites;    // convolutions, in the order of the pass
  int64_t kept = 0;           // values kept for backward when everything trains
  int64_t widest = 0;         // values of the largest layer's result
  int64_t pixels = 0;         // values of the image itself
};

struct ModelFamily {
  std::string modelType;                    // "llama"
  std::string title;                        // "LLaMA"
  std::vector<HeadKind> heads;              // heads this family can carry
  std::vector<std::string> defaultTargets;  // target_modules PEFT would choose: {"q_proj", "v_proj"}
  // Loads config.json + safetensors from a folder.
  Result<std::unique_ptr<Model>> (*load)(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options);
  Result<std::vector<SiteShape>> (*siteShapes)(const nlohmann::json& config);
  // Families that look at images only.
  Result<ImagePass> (*imagePass)(const nlohmann::json& config, int64_t height, int64_t width) = nullptr;
  // The config.json of a checkpoint that comes without one, told from its tensors; empty where it is another family's.
  std::optional<nlohmann::json> (*bareConfig)(const std::vector<TensorInfo>& tensors) = nullptr;
};

const std::vector<ModelFamily>& modelFamilies();
// By model_type; the error names the families there are.
Result<const ModelFamily*> findModelFamily(const std::string& modelType);
// Reads config.json, picks the family, loads.
Result<std::unique_ptr<Model>> loadModel(const std::filesystem::path& folder, const ModelLoadOptions& options);
// With the folder's config.json as it has been read.
Result<std::unique_ptr<Model>> loadModel(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options);
// Reads and checks config.json (size-bounded). `folder` may be a file of weights: its folder's config.json counts, or what
// the file itself tells (GGUF, a bare state dict of a family that is known by its tensors).
Result<nlohmann::json> readModelConfig(const std::filesystem::path& folder);

}  // namespace rankscope

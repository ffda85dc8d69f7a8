#pragma once
// Residual networks for images (He et al. 2016): ResNet-18/34/50 by transformers' names (model_type "resnet") or by
// torchvision's, and the CIFAR networks ResNet-20 … 110 with parameter-free shortcuts; the latter two also as bare state
// dicts without a config.json. Sites: the convolutions, by block, and the classifier as the one linear map.
//
// Batch norms: a norm whose scale trains (full fine-tuning) normalises by the batch and moves its running statistics by
// a tenth, once a pass, as PyTorch does; any other uses the checkpoint's statistics. These are Model::buffers(); the
// method that changes them saves them.

#include "core/io/weight_file.h"
#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadResnet(const std::filesystem::path& folder, const nlohmann::json& config,
                                          const ModelLoadOptions& options);
Result<std::vector<SiteShape>> resnetSiteShapes(const nlohmann::json& config);
Result<ImagePass> resnetPass(const nlohmann::json& config, int64_t height, int64_t width);

}  // namespace rankscope

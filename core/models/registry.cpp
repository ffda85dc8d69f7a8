#include "core/models/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/config/json_text.h"
#include "core/io/gguf_model.h"
#include "core/io/shard_index.h"
#include "core/models/bert.h"
#include "core/models/deberta.h"
#include "core/models/gpt2.h"
#include "core/models/llama.h"
#include "core/models/mistral.h"
#include "core/models/mpnet.h"
#include "core/models/qwen.h"
#include "core/models/resnet.h"
#include "core/models/resnet_layout.h"
#include "core/models/roberta.h"
#include "core/models/config_reader.h"

namespace rankscope {

namespace {

std::vector<HeadKind> encoderHeads() {
  return {HeadKind::SequenceClassification, HeadKind::MaskedLm, HeadKind::TokenSpan, HeadKind::None};
}

std::vector<HeadKind> decoderHeads() { return {HeadKind::CausalLm, HeadKind::SequenceClassification}; }

std::vector<HeadKind> decoderAndSpanHeads() {
  return {HeadKind::CausalLm, HeadKind::SequenceClassification, HeadKind::TokenSpan};
}

std::vector<HeadKind> imageHeads() { return {HeadKind::ImageClassification, HeadKind::None}; }

// For a checkpoint without config.json: what its own tensors tell.
std::optional<nlohmann::json> bareConfig(const std::filesystem::path& weights) {
  const auto summary = inspectWeights(weights);
  if (!summary) return std::nullopt;
  for (const auto& family : modelFamilies())
    if (family.bareConfig)
      if (auto config = family.bareConfig(summary->tensors)) return config;
  return std::nullopt;
}

}  // namespace

const char* headName(HeadKind head) {
  switch (head) {
    case HeadKind::CausalLm: return "causal_lm";
    case HeadKind::SequenceClassification: return "sequence_classification";
    case HeadKind::MaskedLm: return "masked_lm";
    case HeadKind::TokenSpan: return "token_span";
    case HeadKind::ImageClassification: return "image_classification";
    case HeadKind::None: break;
  }
  return "none";
}

HeadKind headOfName(const std::string& name) {
  for (const HeadKind head :
       {HeadKind::CausalLm, HeadKind::SequenceClassification, HeadKind::MaskedLm, HeadKind::TokenSpan,
        HeadKind::ImageClassification})
    if (name == headName(head)) return head;
  return HeadKind::None;
}

const std::vector<ModelFamily>& modelFamilies() {
  // clang-format off: one line a family
  static const std::vector<ModelFamily> families{
      {"llama", "LLaMA", decoderHeads(), {"q_proj", "v_proj"}, loadLlama, llamaSiteShapes},
      {"mistral", "Mistral", decoderHeads(), {"q_proj", "v_proj"}, loadMistral, mistralSiteShapes},
      {"qwen2", "Qwen2", decoderHeads(), {"q_proj", "v_proj"}, loadQwen2, qwen2SiteShapes},
      {"qwen3", "Qwen3", decoderHeads(), {"q_proj", "v_proj"}, loadQwen3, qwen3SiteShapes},
      {"gpt2", "GPT-2", decoderAndSpanHeads(), {"c_attn"}, loadGpt2, gpt2SiteShapes},
      {"bert", "BERT", encoderHeads(), {"query", "value"}, loadBert, bertSiteShapes},
      {"roberta", "RoBERTa", encoderHeads(), {"query", "value"}, loadRoberta, robertaSiteShapes},
      {"xlm-roberta", "XLM-RoBERTa", encoderHeads(), {"query", "value"}, loadRoberta, robertaSiteShapes},
      {"mpnet", "MPNet", encoderHeads(), {"q", "v"}, loadMpnet, mpnetSiteShapes},
      {"deberta-v2", "DeBERTa", encoderHeads(), {"query_proj", "value_proj"}, loadDeberta, debertaSiteShapes},
      {"resnet", "ResNet", imageHeads(), {"convolution"}, loadResnet, resnetSiteShapes, resnetPass},
      {kBareResnetType, "ResNet (torchvision, CIFAR)", imageHeads(), {"conv1", "conv2", "conv3", "downsample.0", "shortcut.0"}, loadResnet, resnetSiteShapes, resnetPass, bareResnetConfig},
  };
  // clang-format on
  return families;
}

Result<const ModelFamily*> findModelFamily(const std::string& modelType) {
  std::vector<std::string> known;
  for (const auto& family : modelFamilies()) {
    if (family.modelType == modelType) return &family;
    known.push_back(family.modelType);
  }
  return Error{ErrorCode::BadInput,
               "no such model family is supported",
               "config.json, model_type",
               modelType.empty() ? "no entry" : modelType.substr(0, 60),
               fmt::format("{}", fmt::join(known, ", ")),
               "Choose a model of a supported family."};
}

Result<nlohmann::json> readModelConfig(const std::filesystem::path& folder) {
  std::error_code failure;
  const auto path = (std::filesystem::is_regular_file(folder, failure) ? folder.parent_path() : folder) / "config.json";
  if (!std::filesystem::is_regular_file(path, failure)) {
    // A GGUF file carries its own config.
    if (const auto files = findWeightFiles(folder); files && files->files.front().extension() == ".gguf")
      return readGgufModelConfig(files->files.front());
    if (auto config = bareConfig(folder)) return std::move(*config);
    return Error{ErrorCode::BadInput,
                 "the model folder has no config.json",
                 path.string(),
                 "no such file",
                 "a file",
                 "Give a folder in the Hugging Face layout: config.json beside model.safetensors."};
  }
  JsonLimits limits;
  limits.maxBytes = 4 << 20;
  auto json = readJsonFile(path, limits);
  if (json && !json->is_object())
    return Error{ErrorCode::BadInput, "config.json is not an object",
                 path.string(),       json->type_name(),
                 "a JSON object",     kTakeConfigAgain};
  return json;
}

Result<std::unique_ptr<Model>> loadModel(const std::filesystem::path& folder, const ModelLoadOptions& options) {
  auto config = readModelConfig(folder);
  if (!config) return config.error();
  return loadModel(folder, *config, options);
}

Result<std::unique_ptr<Model>> loadModel(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options) {
  const auto type = config.find("model_type");
  auto family = findModelFamily(type != config.end() && type->is_string() ? type->get<std::string>() : "");
  if (!family) {
    auto error = family.error();
    error.where = (folder / "config.json").string() + ", model_type";
    return error;
  }
  try {
    return (*family)->load(folder, config, options);
  } catch (const c10::Error& e) {
    return Error{ErrorCode::BadInput,
                 "the model could not be built",
                 folder.string(),
                 e.what_without_backtrace(),
                 "a model that fits in memory",
                 "Check the sizes in config.json and the free memory."};
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::BadInput,  "the model does not fit in memory",
                 folder.string(),      "allocation failed",
                 "enough free memory", "Close other programs or choose a smaller model."};
  }
}

}  // namespace rankscope

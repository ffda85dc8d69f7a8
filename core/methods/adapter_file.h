#pragma once
// An adapter from elsewhere: PEFT's folder (adapter_config.json with adapter_model.safetensors or .bin), or a file of
// tensors as the LoRA authors' own library writes them (no config: rank from the shapes, alpha must be said). Read
// whole, then fitted to the model it is to sit on. Free functions, any thread.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/methods/method.h"

namespace rankscope {

struct AdapterFile {
  MethodSettings settings;                    // the method by its name, and its own options
  std::map<std::string, at::Tensor> tensors;  // the model's own names, "<site>.lora_A.weight"
  std::string basePath;                       // as the config names the base model; "" when it does not
  std::string taskType;                       // PEFT's: "CAUSAL_LM", "SEQ_CLS", …; "" when unknown
  std::vector<std::string> remarks;           // what is out of the ordinary, for the user
};

// `alpha` is taken where the file does not say it; given for one that does, it must agree.
Result<AdapterFile> readAdapter(const std::filesystem::path& path, std::optional<double> alpha = std::nullopt);

// Number of classes of a classification head among the tensors: rows of its last matrix. 0 without a head.
int64_t headRows(const AdapterFile& adapter);

// Whether an adapter can sit on a model with these sites, told from its headers alone: each of its sites is in the model,
// and its factors have that site's sizes.
Result<void> checkAdapterFits(const std::filesystem::path& path, const std::vector<SiteShape>& sites);

// Names and settings made the model's: prefixes that the base class adds or lacks; sites by name where the config's
// targets mean others than the tensors do; modules that train whole; a head that the adapter lacks stays the model's.
// The error lists what has no place in the model.
Result<void> fitAdapter(AdapterFile& adapter, const Model& model);

}  // namespace rankscope

#include "app/trainer/model_documents.h"

#include <algorithm>

#include "core/config/files.h"
#include "core/config/short_names.h"
#include "core/io/shard_index.h"
#include "core/models/registry.h"
#include "core/text/chat_recognition.h"
#include "core/text/registry.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const char* headName(HeadKind head) {
  switch (head) {
    case HeadKind::CausalLm: return "causal_lm";
    case HeadKind::SequenceClassification: return "sequence_classification";
    case HeadKind::MaskedLm: return "masked_lm";
    case HeadKind::TokenSpan: return "token_span";
    case HeadKind::None: break;
  }
  return "none";
}

bool holdsFile(const fs::path& folder, std::initializer_list<std::string_view> endings) {
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    const std::string name = pathText(it->path().filename());
    for (const std::string_view ending : endings)
      if (name.size() > ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0) return true;
  }
  return false;
}

bool isModelFolder(const fs::path& folder) {
  std::error_code code;
  // A config.json alone describes an architecture (for a random start), not a model that can be picked; GGUF carries its
  // own config.
  if (fs::exists(folder / "config.json", code))
    return holdsFile(folder, {".safetensors", ".safetensors.index.json", ".bin", ".pt", ".pth", ".th", ".gguf"});
  return holdsFile(folder, {".gguf"});
}

int64_t configNumber(const json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

// {name, recognised}: name null where the folder has no chat template, or one that is not known.
json chatTemplateDocument(const fs::path& folder, const Places& places) {
  const auto found = chatTemplateFor("auto", folder, places.resources / "templates");
  const bool named = found && *found;
  return {{"name", named ? json((*found)->name) : json()}, {"recognised", named},
          {"problem", found ? "" : found.error().message()}};
}

// What a picker shows of a model.
json summary(const fs::path& folder, const Places& places) {
  json document = {{"path", places.nameOf(folder)}, {"folder", pathText(folder)}, {"name", shortModelName(pathText(folder))},
                   {"family", ""}, {"parameters", 0}, {"dtype", ""}, {"bytes", 0}, {"hidden", 0}, {"layers", 0},
                   {"vocab", 0}, {"max_positions", 0}, {"tokenizer", detectTokenizer(folder)}, {"problem", ""},
                   {"weights", false}, {"chat_template", chatTemplateDocument(folder, places)}};
  Result<json> config = readModelConfig(folder);
  if (!config) {
    document["problem"] = config.error().message();
    return document;
  }
  document["family"] = config->value("model_type", std::string());
  document["hidden"] = configNumber(*config, "hidden_size");
  document["layers"] = configNumber(*config, "num_hidden_layers");
  document["vocab"] = configNumber(*config, "vocab_size");
  document["max_positions"] = configNumber(*config, "max_position_embeddings");
  if (auto family = findModelFamily(document["family"].get<std::string>()); !family)
    document["problem"] = family.error().message();
  Result<WeightSummary> weights = inspectWeights(folder);
  if (weights) {
    document["weights"] = true;
    document["parameters"] = weights->parameters;
    document["bytes"] = weights->bytes;
    document["dtype"] = weights->mainDtype;
  } else if (document["problem"].get<std::string>().empty()) {
    document["problem"] = weights.error().message();
  }
  if (document["tokenizer"].get<std::string>().empty() && document["problem"].get<std::string>().empty())
    document["problem"] = "The folder has no tokenizer that can be read.";
  return document;
}

}  // namespace

std::vector<fs::path> defaultModelFolders(const Places& places) {
  std::vector<fs::path> folders = {places.models};
  if (!places.resources.empty()) folders.push_back(places.starter());
  return folders;
}

json scanModels(const std::vector<fs::path>& folders, const Places& places) {
  std::vector<fs::path> found;
  for (const fs::path& root : folders) {
    std::error_code code;
    if (isModelFolder(root)) found.push_back(root);
    fs::recursive_directory_iterator it(root, fs::directory_options::skip_permission_denied, code), end;
    for (; !code && it != end; it.increment(code)) {
      if (it.depth() >= 2) it.disable_recursion_pending();
      std::error_code ignored;
      if (!it->is_directory(ignored)) continue;
      if (fs::exists(it->path() / "run.json", ignored)) {  // a run's folder: its config.json is not a model's
        it.disable_recursion_pending();
        continue;
      }
      if (isModelFolder(it->path())) found.push_back(it->path());
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  json documents = json::array();
  for (const fs::path& folder : found) documents.push_back(summary(folder, places));
  return documents;
}

Result<json> inspectModel(const fs::path& folder, const Places& places) {
  Result<json> config = readModelConfig(folder);
  if (!config) return config.error();
  Result<const ModelFamily*> family = findModelFamily(config->value("model_type", std::string()));
  if (!family) return family.error();
  Result<std::vector<SiteShape>> sites = (*family)->siteShapes(*config);
  if (!sites) return sites.error();
  json document = summary(folder, places);
  document["title"] = (*family)->title;
  document["default_targets"] = (*family)->defaultTargets;
  document["heads"] = json::array();
  for (HeadKind head : (*family)->heads) document["heads"].push_back(headName(head));
  document["sites"] = json::array();
  for (const SiteShape& site : *sites)
    document["sites"].push_back({{"name", site.name}, {"kind", site.kind}, {"layer", site.layer},
                                 {"out", site.outFeatures}, {"in", site.inFeatures}, {"bias", site.hasBias}});
  document["tensors"] = json::array();
  if (Result<WeightSummary> weights = inspectWeights(folder); weights)
    for (const TensorInfo& tensor : weights->tensors)
      document["tensors"].push_back({{"name", tensor.name}, {"dtype", dtypeName(tensor.dtype)}, {"shape", tensor.shape}});
  document["config"] = *config;
  return document;
}

}  // namespace rankscope

#include "app/trainer/model_documents.h"

#include <algorithm>
#include <optional>

#include "app/trainer/command.h"
#include "app/trainer/model_licence.h"
#include "core/config/files.h"
#include "core/config/short_names.h"
#include "core/io/shard_index.h"
#include "core/models/config_reader.h"
#include "core/models/registry.h"
#include "core/text/chat_recognition.h"
#include "core/text/registry.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool holdsFile(const fs::path& folder, std::initializer_list<std::string_view> endings) {
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    const std::string name = pathText(it->path().filename());
    for (const std::string_view ending : endings)
      if (name.size() > ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0) return true;
  }
  return false;
}

std::string configText(const json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The first of these keys that holds a number (GPT-2 has names of its own).
int64_t configNumber(const json& config, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (const auto found = config.find(key); found != config.end() && found->is_number_integer())
      return found->get<int64_t>();
  return 0;
}

// {name, recognised}: name null where the folder has no chat template, or one that is not known.
json chatTemplateDocument(const fs::path& folder, const Places& places) {
  const auto found = chatTemplateFor("auto", folder, places.resources / "templates");
  const bool named = found && *found;
  return {{"name", named ? json((*found)->name) : json()}, {"recognised", named},
          {"problem", found ? "" : found.error().message()}};
}

json siteList(const std::vector<SiteShape>& sites) {
  json list = json::array();
  for (const SiteShape& site : sites)
    list.push_back({{"name", site.name}, {"kind", site.kind}, {"layer", site.layer},
                    {"out", site.outFeatures}, {"in", site.inFeatures}, {"bias", site.hasBias},
                    {"operation", operationName(site.operation)}, {"shape", site.parameterShape()}});
  return list;
}

struct Headers {
  Result<json> config;
  Result<WeightSummary> weights;
};

Headers readHeaders(const fs::path& folder) { return {readModelConfig(folder), inspectWeights(folder)}; }

json summaryOf(const fs::path& folder, const Places& places, const Headers& headers) {
  std::error_code code;
  const bool file = fs::is_regular_file(folder, code);  // GGUF, with a tokenizer of its own
  const fs::path beside = file ? folder.parent_path() : folder;
  json document = {{"kind", "model"}, {"path", places.nameOf(folder)}, {"folder", pathText(folder)},
                   {"name", shortModelName(pathText(folder))}, {"family", ""}, {"parameters", 0}, {"dtype", ""},
                   {"dtypes", json::object()}, {"bytes", 0}, {"files", 0}, {"format", ""}, {"hidden", 0}, {"layers", 0},
                   {"vocab", 0}, {"max_positions", 0}, {"tokenizer", file ? "GGUF" : detectTokenizer(folder)}, {"problem", ""},
                   {"weights", false}, {"chat_template", chatTemplateDocument(beside, places)}};
  const Licence licence = licenceOf(beside, headers.config ? *headers.config : json());
  document["licence"] = {{"name", licence.name}, {"source", licence.source}};
  if (!headers.config) {
    document["problem"] = headers.config.error().message();
    return document;
  }
  const json& config = *headers.config;
  document["family"] = configText(config, "model_type");
  document["hidden"] = configNumber(config, {"hidden_size", "n_embd"});
  document["layers"] = configNumber(config, {"num_hidden_layers", "n_layer"});
  document["vocab"] = configNumber(config, {"vocab_size"});
  document["max_positions"] = configNumber(config, {"max_position_embeddings", "n_positions"});
  const Result<const ModelFamily*> family = findModelFamily(configText(config, "model_type"));
  if (!family) document["problem"] = family.error().message();
  if (headers.weights) {
    document["weights"] = true;
    describeWeights(*headers.weights, document);
  } else if (document["problem"].get<std::string>().empty()) {
    document["problem"] = headers.weights.error().message();
  }
  const bool images = family && (*family)->imagePass;
  if (!images && document["tokenizer"].get<std::string>().empty() && document["problem"].get<std::string>().empty())
    document["problem"] = "The folder has no tokenizer that can be read.";
  return document;
}

std::vector<std::string> intersection(std::vector<std::string> a, std::vector<std::string> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::vector<std::string> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

// How the weights fit: asked with every head that the family can carry. What one of them finds no place for, another may;
// the body's faults are those of the head that fits best.
void describeFit(const fs::path& folder, const json& config, const ModelFamily& family, json& document) {
  std::optional<LoadReport> best;
  ModelLoadOptions load;
  load.shapesOnly = true;
  load.reportMisfits = true;
  load.numLabels = std::max<int64_t>(2, classCountOf(config));
  std::optional<std::vector<std::string>> unused;
  json present = json::array();
  for (const HeadKind head : family.heads) {
    load.head = head;
    Result<std::unique_ptr<Model>> model = loadModel(folder, config, load);
    if (!model) {
      document["problems"].push_back(errorDocument(model.error()));
      return;
    }
    const LoadReport& fit = (*model)->loadReport();
    if (head != HeadKind::None && fit.fits() && fit.newlyInitialised.empty()) present.push_back(headName(head));
    unused = unused ? intersection(*unused, fit.unused) : fit.unused;
    if (!best || fit.missing.size() + fit.misshapen.size() < best->missing.size() + best->misshapen.size()) best = fit;
  }
  document["heads_present"] = present;
  document["missing"] = best ? best->missing : std::vector<std::string>();
  document["misshapen"] = best ? best->misshapen : std::vector<std::string>();
  document["unused"] = unused.value_or(std::vector<std::string>());
}

}  // namespace

// Sizes on disk, in order; links are followed.
json weightFileList(const fs::path& folder) {
  json list = json::array();
  const Result<WeightFiles> files = findWeightFiles(folder);
  if (!files) return list;
  for (const fs::path& file : files->files) {
    std::error_code code;
    const auto bytes = fs::file_size(file, code);
    list.push_back({{"name", pathText(file.filename())}, {"bytes", code ? 0 : bytes}});
  }
  return list;
}

void describeWeights(const WeightSummary& weights, json& document) {
  document["parameters"] = weights.parameters;
  document["bytes"] = weights.bytes;
  document["dtype"] = weights.mainDtype;
  document["dtypes"] = weights.dtypes;
  document["format"] = weights.format;
  document["files"] = weights.files;
}

json tensorList(const WeightSummary& weights) {
  json list = json::array();
  for (const TensorInfo& tensor : weights.tensors)
    list.push_back({{"name", tensor.name}, {"dtype", tensor.storedName()}, {"shape", tensor.shape}});
  return list;
}

bool isModelFolder(const fs::path& folder) {
  std::error_code code;
  // A config.json alone describes an architecture (for a random start), not a model that can be picked; GGUF carries its
  // own config.
  if (fs::exists(folder / "config.json", code))
    return holdsFile(folder, {".safetensors", ".safetensors.index.json", ".bin", ".pt", ".pth", ".th", ".gguf"});
  if (holdsFile(folder, {".gguf"})) return true;
  // So may the state dict of an image network, told by its tensors.
  return holdsFile(folder, {".safetensors", ".pt", ".pth", ".th"}) && readModelConfig(folder).ok();
}

json modelSummary(const fs::path& folder, const Places& places) {
  return summaryOf(folder, places, readHeaders(folder));
}

Result<std::vector<SiteShape>> sitesOfModel(const fs::path& folder) {
  const Result<json> config = readModelConfig(folder);
  if (!config) return config.error();
  Result<const ModelFamily*> family = findModelFamily(configText(*config, "model_type"));
  if (!family) return family.error();
  return (*family)->siteShapes(*config);
}

Result<json> inspectModel(const fs::path& folder, const Places& places) {
  const Headers headers = readHeaders(folder);
  if (!headers.config) return headers.config.error();
  Result<const ModelFamily*> family = findModelFamily(configText(*headers.config, "model_type"));
  if (!family) return family.error();
  Result<std::vector<SiteShape>> sites = (*family)->siteShapes(*headers.config);
  if (!sites) return sites.error();
  json document = summaryOf(folder, places, headers);
  document["title"] = (*family)->title;
  document["default_targets"] = (*family)->defaultTargets;
  document["heads"] = json::array();
  for (HeadKind head : (*family)->heads) document["heads"].push_back(headName(head));
  document["sites"] = siteList(*sites);
  document["tensors"] = headers.weights ? tensorList(*headers.weights) : json::array();
  document["config"] = *headers.config;
  return document;
}

json describeModel(const fs::path& folder, const Places& places) {
  const Headers headers = readHeaders(folder);
  json document = summaryOf(folder, places, headers);
  document["problems"] = json::array();
  for (const char* key : {"heads", "heads_present", "sites", "missing", "misshapen", "unused"}) document[key] = json::array();
  document["shards"] = weightFileList(folder);
  document["tensors"] = headers.weights ? tensorList(*headers.weights) : json::array();
  if (!headers.weights) document["problems"].push_back(errorDocument(headers.weights.error()));
  if (!headers.config) {
    document["problems"].push_back(errorDocument(headers.config.error()));
    return document;
  }
  document["config"] = *headers.config;
  const Result<const ModelFamily*> family = findModelFamily(configText(*headers.config, "model_type"));
  if (!family) {
    document["problems"].push_back(errorDocument(family.error()));
    return document;
  }
  document["title"] = (*family)->title;
  document["default_targets"] = (*family)->defaultTargets;
  for (const HeadKind head : (*family)->heads) document["heads"].push_back(headName(head));
  if (const Result<std::vector<SiteShape>> sites = (*family)->siteShapes(*headers.config); sites)
    document["sites"] = siteList(*sites);
  else
    document["problems"].push_back(errorDocument(sites.error()));
  if (headers.weights && document["problems"].empty()) describeFit(folder, *headers.config, **family, document);
  if (!(*family)->imagePass && document["tokenizer"].get<std::string>().empty())
    document["problems"].push_back(errorDocument(
        {ErrorCode::BadInput, "the folder has no tokenizer that can be read", pathText(folder), "",
         "tokenizer.json, tokenizer.model, vocab.txt, or vocab.json with merges.txt",
         "Fetch the model's tokenizer files into its folder; without them it can be looked at, not trained."}));
  return document;
}

Result<json> describeTokenizer(const fs::path& folder) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = loadTokenizer(folder);
  if (!tokenizer) return tokenizer.error();
  json special = json::object();
  const SpecialIds& ids = (*tokenizer)->special();
  for (const auto& [name, id] : {std::pair{"bos", ids.bos}, {"eos", ids.eos}, {"pad", ids.pad}, {"unk", ids.unk},
                                 {"cls", ids.cls}, {"sep", ids.sep}, {"mask", ids.mask}})
    if (id >= 0) special[name] = {{"id", id}, {"text", (*tokenizer)->idToPiece(id)}};
  return json{{"kind", (*tokenizer)->kind()}, {"vocabulary", (*tokenizer)->vocabSize()}, {"special", special}};
}

}  // namespace rankscope

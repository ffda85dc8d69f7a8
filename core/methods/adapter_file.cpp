#include "core/methods/adapter_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/config/json_text.h"
#include "core/config/text_shown.h"
#include "core/io/shard_index.h"
#include "core/io/weight_source.h"
#include "core/methods/factor_files.h"
#include "core/methods/peft_format.h"
#include "core/methods/registry.h"
#include "core/methods/site_selection.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

// Of linear sites and convolutions, and of embeddings.
constexpr std::string_view kFactorsA[] = {".lora_A.weight", ".lora_embedding_A"};
constexpr std::string_view kFactorsB[] = {".lora_B.weight", ".lora_embedding_B"};
constexpr std::string_view kMagnitude = ".lora_magnitude_vector", kEntries = ".lora_E";

bool endsWith(const std::string& text, std::string_view ending) {
  return text.size() > ending.size() && text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

Error bad(const fs::path& where, std::string what, std::string found, std::string expected, std::string hint) {
  return Error{ErrorCode::BadInput, std::move(what),     where.string(),
               std::move(found),    std::move(expected), std::move(hint)};
}

// Tensors that only other kinds of adapters have, in case their config does not say what they are.
struct ForeignTensor {
  const char *part, *kind;
};
constexpr ForeignTensor kForeign[] = {{".lora_B.bias", "LoRA with a bias of its own"},
                                      {".hada_", "LoHa"},
                                      {".lokr_", "LoKr"},
                                      {".oft_", "OFT"},
                                      {".vera_lambda", "VeRA"},
                                      {"prompt_encoder", "a prompt adapter"},
                                      {".ia3_l", "IA3"}};

std::string listed(const std::vector<std::string>& items) {
  constexpr size_t kShown = 3;
  const std::vector<std::string> head(items.begin(),
                                      items.begin() + static_cast<std::ptrdiff_t>(std::min(items.size(), kShown)));
  return fmt::format("{}{}", fmt::join(head, ", "),
                     items.size() > kShown ? fmt::format(" and {} more", items.size() - kShown) : "");
}

Result<std::map<std::string, at::Tensor>> readTensors(const fs::path& path) {
  Result<WeightSource> source = WeightSource::open(path);
  if (!source) return source.error();
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : source->names()) {
    if (name.find(".original_module.") != std::string::npos) continue;  // what the saved module was before training
    const std::string plain = plainPeftName(name);
    for (const ForeignTensor& foreign : kForeign)
      if (plain.find(foreign.part) != std::string::npos)
        return bad(path, fmt::format("the adapter is {}, which is no method here", foreign.kind), shown(name, 200),
                   "LoRA, rsLoRA, DoRA or AdaLoRA", "Merge it into its base model with PEFT and use the merged model.");
    Result<at::Tensor> tensor = source->tensor(name);
    if (!tensor) return tensor.error();
    if (!tensor->is_floating_point())
      return bad(path, "the adapter holds a tensor of whole numbers", shown(name, 200), "numbers",
                 "Save the adapter again.");
    // PEFT writes a saved module's bias twice where biases train as well.
    const at::Tensor value = matrixFromFile(plain, *tensor);
    const auto [entry, isNew] = tensors.emplace(plain, value);
    if (!isNew && !(entry->second.sizes() == value.sizes() && at::equal(entry->second, value)))
      return bad(path, "the adapter holds a tensor under two names", shown(plain, 200), "each once",
                 "Save the adapter again.");
  }
  return tensors;
}

// The site that a tensor of an adapter belongs to; "" for heads, biases and saved modules.
std::string siteOf(const std::string& name) {
  for (const std::string_view ending :
       {kFactorsA[0], kFactorsA[1], kFactorsB[0], kFactorsB[1], kMagnitude, kEntries})
    if (endsWith(name, ending)) return name.substr(0, name.size() - ending.size());
  return {};
}

// What a map of an adapter's tensors (or shapes) has as a factor of a site; nullptr where it has none.
template <typename Value>
const Value* factorOf(const std::map<std::string, Value>& tensors, const std::string& site,
                      const std::string_view (&endings)[2]) {
  for (const std::string_view ending : endings)
    if (const auto found = tensors.find(site + std::string(ending)); found != tensors.end()) return &found->second;
  return nullptr;
}

std::set<std::string> sitesOf(const std::map<std::string, at::Tensor>& tensors) {
  std::set<std::string> sites;
  for (const auto& [name, tensor] : tensors)
    if (std::string site = siteOf(name); !site.empty()) sites.insert(std::move(site));
  return sites;
}

// Every site has both factors, and they have the same rank. Ranks of loralib's files are told from here.
Result<std::map<std::string, int64_t>> ranksOf(const std::map<std::string, at::Tensor>& tensors, const fs::path& path) {
  std::map<std::string, int64_t> ranks;
  for (const std::string& site : sitesOf(tensors)) {
    const at::Tensor *a = factorOf(tensors, site, kFactorsA), *b = factorOf(tensors, site, kFactorsB);
    if (!a || !b)
      return bad(path, "a site of the adapter has one factor only", shown(site, 200), "lora_A and lora_B",
                 "Save the adapter again.");
    const at::Tensor &down = *a, &up = *b;
    if (down.dim() != 2 || up.dim() != 2 || down.size(0) != up.size(1) ||
        (down.size(0) < 1 && !tensors.count(site + std::string(kEntries))))
      return bad(path, "factors of a site do not fit each other",
                 fmt::format("{}: A [{}], B [{}]", shown(site, 200), fmt::join(down.sizes().vec(), ", "),
                             fmt::join(up.sizes().vec(), ", ")),
                 "A [r, in], B [out, r]",
                 "Merged projections (query, key and value in one) must be taken apart first.");
    ranks[site] = down.size(0);
  }
  if (ranks.empty())
    return bad(path, "the file holds no adapter", tensors.empty() ? "no tensors" : shown(tensors.begin()->first, 100),
               "tensors named …lora_A…", "Give the folder of a PEFT adapter, or a file of LoRA's factors.");
  return ranks;
}

// The LoRA authors' library: no config beside the tensors.
Result<void> settingsFromTensors(AdapterFile& adapter, const std::map<std::string, int64_t>& ranks,
                                 std::optional<double> alpha, const fs::path& path) {
  if (!alpha)
    return bad(path, "the file does not say the adapter's alpha", "no adapter_config.json", "a number",
               "Give it with --alpha, as it was in training (LoRA's authors used 16 for RoBERTa-base with rank 8).");
  MethodSettings& settings = adapter.settings;
  settings.alpha = *alpha;
  settings.rank = ranks.begin()->second;
  std::set<std::string> kinds;
  for (const auto& [site, rank] : ranks) {
    kinds.insert(site.substr(site.rfind('.') + 1));
    if (rank != settings.rank) settings.rankPattern[site] = rank;
  }
  settings.targetModules.assign(kinds.begin(), kinds.end());
  adapter.remarks.push_back(
      fmt::format("the file has no config: rank {} from its shapes, alpha {} as given", settings.rank, *alpha));
  return {};
}

// Tensors that only one kind of adapter has, and its method here.
struct OwnTensor {
  std::string_view ending;
  const char *method, *config;
};
constexpr OwnTensor kOwn[] = {{kMagnitude, "dora", "use_dora"}, {kEntries, "adalora", "peft_type ADALORA"}};

// The config and the tensors speak of the same kind of adapter; without a config the tensors tell it.
Result<void> checkKind(AdapterFile& adapter, bool configured, const fs::path& path) {
  for (const OwnTensor& own : kOwn) {
    const bool has = std::any_of(adapter.tensors.begin(), adapter.tensors.end(),
                                 [&](const auto& entry) { return endsWith(entry.first, own.ending); });
    const std::string tensors(own.ending.substr(1));
    if (configured && has != (adapter.settings.name == own.method))
      return bad(path, "the config and the tensors disagree on the kind of adapter",
                 has ? fmt::format("{} without {}", tensors, own.config)
                     : fmt::format("{} without {}", own.config, tensors),
                 "both or neither", "Save the adapter again.");
    if (!configured && has && own.ending == kEntries)
      return bad(path, "the file does not say AdaLoRA's first rank, which its scaling needs", "no adapter_config.json",
                 "the folder with both", "Give the folder that save_pretrained wrote.");
    if (!configured && has) adapter.settings.name = own.method;
  }
  return {};
}

}  // namespace

Result<AdapterFile> readAdapter(const fs::path& path, std::optional<double> alpha) {
  std::error_code code;
  const bool folder = fs::is_directory(path, code);
  const fs::path configPath = (folder ? path : path.parent_path()) / "adapter_config.json";
  fs::path weights = path;
  if (folder) {
    weights = path / "adapter_model.safetensors";
    if (!fs::is_regular_file(weights, code) && fs::is_regular_file(path / "adapter_model.bin", code))
      weights = path / "adapter_model.bin";
  }
  AdapterFile adapter;
  bool configured = false;
  if (fs::is_regular_file(configPath, code)) {
    Result<nlohmann::json> config = readJsonFile(configPath);
    if (!config) return config.error();
    Result<MethodSettings> settings = settingsFromPeftConfig(*config);
    if (!settings) return settings.error();
    adapter.settings = std::move(*settings);
    const auto text = [&](const char* key) {
      return config->contains(key) && (*config)[key].is_string() ? (*config)[key].get<std::string>() : std::string();
    };
    adapter.basePath = text("base_model_name_or_path");
    adapter.taskType = text("task_type");
    if (alpha && *alpha != adapter.settings.alpha)
      return bad(configPath, "the adapter has another alpha than the one given",
                 fmt::format("{}", adapter.settings.alpha), fmt::format("{}", *alpha), "Leave --alpha out.");
    configured = true;
  } else if (folder) {
    return bad(path, "the folder holds no adapter", "no adapter_config.json", "a PEFT adapter's folder",
               "Give the folder that save_pretrained wrote, or the file of tensors itself.");
  }
  Result<std::map<std::string, at::Tensor>> tensors = readTensors(weights);
  if (!tensors) return tensors.error();
  adapter.tensors = std::move(*tensors);
  if (methodKind(adapter.settings.name) != MethodKind::LowRank) return adapter;
  Result<std::map<std::string, int64_t>> ranks = ranksOf(adapter.tensors, weights);
  if (!ranks) return ranks.error();
  if (auto agree = checkKind(adapter, configured, path); !agree) return agree.error();
  if (adapter.settings.options.contains("svd_iterations"))
    adapter.remarks.push_back("its start came from a random sketch of the base weights that no file keeps: it is drawn "
                              "anew, as PEFT does, and outputs agree as far as the sketch had converged");
  if (!configured)
    if (auto made = settingsFromTensors(adapter, *ranks, alpha, weights); !made) return made.error();
  return adapter;
}

int64_t headRows(const AdapterFile& adapter) {
  for (const char* name : {"classifier.out_proj.weight", "classifier.weight", "score.weight", "qa_outputs.weight"}) {
    const auto found = adapter.tensors.find(name);
    if (found != adapter.tensors.end() && found->second.dim() == 2) return found->second.size(0);
  }
  return 0;
}

namespace {

// Site names of the adapter in the model's words, where the class it was trained on had more or fewer prefixes.
Result<std::map<std::string, std::string>> modelNames(const std::set<std::string>& sites, const std::vector<std::string>& own) {
  std::map<std::string, std::string> names;
  std::vector<std::string> strangers;
  for (const std::string& site : sites) {
    std::vector<std::string> found;
    for (const std::string& candidate : own)
      if (candidate == site || endsInModule(candidate, site) || endsInModule(site, candidate)) found.push_back(candidate);
    const auto exact = std::find(found.begin(), found.end(), site);
    if (exact != found.end())
      names[site] = site;
    else if (found.size() == 1)
      names[site] = found.front();
    else
      strangers.push_back(site);
  }
  if (strangers.empty()) return names;
  return Error{ErrorCode::BadInput,
               fmt::format("{} sites of the adapter are not in the model", strangers.size()),
               "adapter",
               listed(strangers),
               fmt::format("sites such as {}", own.empty() ? "none" : own.front()),
               "Check that this is the base model the adapter was trained on."};
}

void renameSites(AdapterFile& adapter, const std::map<std::string, std::string>& names) {
  std::map<std::string, at::Tensor> renamed;
  for (const auto& [name, tensor] : adapter.tensors) {
    const std::string site = siteOf(name);
    renamed.emplace(site.empty() ? name : names.at(site) + name.substr(site.size()), tensor);
  }
  adapter.tensors = std::move(renamed);
}

// PEFT saves embeddings and output embeddings as they were in the base model beside factors on them.
Result<void> dropUnchangedEmbeddings(AdapterFile& adapter, const Model& model) {
  std::set<std::string> tables;
  for (const auto& [name, tensor] : adapter.tensors)
    if (endsWith(name, kFactorsA[1])) tables.insert(siteOf(name) + ".weight");
  if (tables.empty()) return {};
  std::erase_if(adapter.tensors, [&](const auto& entry) {
    const auto& [name, tensor] = entry;
    if (!siteOf(name).empty() || tensor.dim() != 2 || !model.parameters().contains(name)) return false;
    const at::Tensor own = model.parameters().at(name).detach();
    return own.sizes() == tensor.sizes() && at::equal(own, tensor.to(own.scalar_type()));
  });
  for (const std::string& table : tables)
    if (adapter.tensors.count(table))
      return Error{ErrorCode::BadInput, "the adapter was trained on another embedding than the model's", table,
                   "other values or another vocabulary", "the base model's own rows",
                   "Choose the base model that the adapter was trained on, with its vocabulary."};
  return {};
}

// Where the config's targets select other sites than the file has factors for (excluded modules, another dialect of
// regular expressions), the factors decide.
void fitTargets(AdapterFile& adapter, const Model& model) {
  const std::set<std::string> present = sitesOf(adapter.tensors);
  std::set<std::string> selected;
  if (const auto sites = selectSites(model, adapter.settings); sites)
    for (const LinearSite* site : *sites) selected.insert(site->name);
  if (selected == present) return;
  adapter.remarks.push_back(
      fmt::format("target_modules means {} sites of this model, the adapter has {}: they are named one by one",
                  selected.size(), present.size()));
  adapter.settings.targetModules.assign(present.begin(), present.end());
  adapter.settings.layersToTransform.clear();
}

}  // namespace

Result<void> checkAdapterFits(const fs::path& path, const std::vector<SiteShape>& sites) {
  Result<WeightSummary> weights = inspectWeights(path);
  if (!weights) return weights.error();
  std::map<std::string, std::vector<int64_t>> shapes;
  std::set<std::string> adapted;
  for (const TensorInfo& tensor : weights->tensors) {
    const std::string name = plainPeftName(tensor.name);
    const std::string site = siteOf(name);
    if (site.empty()) continue;
    shapes.emplace(name, tensor.shape);
    adapted.insert(site);
  }
  std::vector<std::string> own;
  for (const SiteShape& site : sites) own.push_back(site.name);
  Result<std::map<std::string, std::string>> names = modelNames(adapted, own);
  if (!names) return names.error();
  for (const auto& [site, name] : *names) {
    const auto *down = factorOf(shapes, site, kFactorsA), *up = factorOf(shapes, site, kFactorsB);
    if (!down || !up || down->size() < 2 || up->size() < 2) continue;
    const int64_t in = c10::multiply_integers(down->begin() + 1, down->end());
    const SiteShape& shape = sites[static_cast<size_t>(std::find(own.begin(), own.end(), name) - own.begin())];
    if ((*up)[0] != shape.outFeatures || in != shape.inFeatures)
      return Error{ErrorCode::BadInput, "the adapter was made for a model of other sizes", name,
                   fmt::format("{} × {}", (*up)[0], in),
                   fmt::format("{} × {} at {}", shape.outFeatures, shape.inFeatures, name),
                   "Choose the base model that the adapter was trained on."};
  }
  return {};
}

namespace {

bool isHead(const Model& model, const std::string& name) {
  const std::vector<std::string> head = model.headParameters();
  return std::find(head.begin(), head.end(), name) != head.end();
}

// PEFT lists every name a head may have ("classifier", "score"); those that the model lacks or trains anyway go.
void pruneSavedModules(MethodSettings& settings, const Model& model) {
  const std::vector<std::string> head = model.headParameters();
  auto& saved = settings.modulesToSave;
  saved.erase(std::remove_if(saved.begin(), saved.end(),
                             [&](const std::string& module) {
                               const auto inside = [&](const std::string& parameter) {
                                 return endsInModule(parameter.substr(0, parameter.rfind('.')), module) ||
                                        parameter.rfind(module + ".", 0) == 0;
                               };
                               const auto& entries = model.parameters().entries();
                               const bool known = std::any_of(entries.begin(), entries.end(),
                                                              [&](const NamedTensor& e) { return inside(e.name); });
                               return !known || std::any_of(head.begin(), head.end(), inside);
                             }),
              saved.end());
}

// A head that the adapter lacks stays the model's.
void completeHead(AdapterFile& adapter, const Model& model) {
  const std::vector<std::string> head = model.headParameters();
  std::vector<std::string> kept;
  for (const std::string& name : head)
    if (!adapter.tensors.count(name)) {
      adapter.tensors[name] = model.parameters().at(name).detach().to(at::kFloat);
      kept.push_back(name);
    }
  if (!kept.empty())
    adapter.remarks.push_back(fmt::format("not in the adapter, kept as the base model has them: {}", listed(kept)));
}

}  // namespace

Result<void> fitAdapter(AdapterFile& adapter, const Model& model) {
  pruneSavedModules(adapter.settings, model);
  if (methodKind(adapter.settings.name) != MethodKind::LowRank) {
    completeHead(adapter, model);
    return {};
  }
  std::vector<std::string> own;
  for (const LinearSite* site : model.sites()) own.push_back(site->name);
  Result<std::map<std::string, std::string>> names = modelNames(sitesOf(adapter.tensors), own);
  if (!names) return names.error();
  renameSites(adapter, *names);
  fitTargets(adapter, model);
  if (auto same = dropUnchangedEmbeddings(adapter, model); !same) return same.error();

  MethodSettings& settings = adapter.settings;
  auto& saved = settings.modulesToSave;
  std::vector<std::string> strangers;
  for (const auto& [name, tensor] : adapter.tensors) {
    if (!siteOf(name).empty() || isHead(model, name)) continue;
    if (!model.parameters().contains(name)) {
      strangers.push_back(name);
      continue;
    }
    if (isBias(name) && settings.bias != "none") continue;
    const std::string module = name.substr(0, name.rfind('.'));
    const bool listedAlready = std::any_of(saved.begin(), saved.end(), [&](const std::string& m) {
      return endsInModule(module, m) || module.rfind(m + ".", 0) == 0 ||
             module.find("." + m + ".") != std::string::npos;
    });
    if (!listedAlready) {
      saved.push_back(module);
      adapter.remarks.push_back(fmt::format("{} comes whole with the adapter", module));
    }
  }
  if (!strangers.empty())
    return Error{ErrorCode::BadInput,
                 fmt::format("{} tensors of the adapter have no place in the model", strangers.size()),
                 "adapter",
                 listed(strangers),
                 "factors, the task head, biases and saved modules of this model",
                 "Check the base model and the task."};
  completeHead(adapter, model);
  return {};
}

}  // namespace rankscope

// An adapter that was read, fitted to the model that it is to sit on.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/io/shard_index.h"
#include "core/methods/adapter_file.h"
#include "core/methods/factor_files.h"
#include "core/methods/peft_format.h"
#include "core/methods/registry.h"
#include "core/methods/site_selection.h"

namespace rankscope {

namespace {

std::string listed(const std::vector<std::string>& items) {
  constexpr size_t kShown = 3;
  const std::vector<std::string> head(items.begin(),
                                      items.begin() + static_cast<std::ptrdiff_t>(std::min(items.size(), kShown)));
  return fmt::format("{}{}", fmt::join(head, ", "),
                     items.size() > kShown ? fmt::format(" and {} more", items.size() - kShown) : "");
}

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
    const std::string site = factorSite(name);
    renamed.emplace(site.empty() ? name : names.at(site) + name.substr(site.size()), tensor);
  }
  adapter.tensors = std::move(renamed);
}

// PEFT saves embeddings and output embeddings as they were in the base model beside factors on them.
Result<void> dropUnchangedEmbeddings(AdapterFile& adapter, const Model& model) {
  std::set<std::string> tables;
  for (const auto& [name, tensor] : adapter.tensors)
    if (name.ends_with(kFactorsA[1])) tables.insert(factorSite(name) + ".weight");
  if (tables.empty()) return {};
  std::erase_if(adapter.tensors, [&](const auto& entry) {
    const auto& [name, tensor] = entry;
    if (!factorSite(name).empty() || tensor.dim() != 2 || !model.parameters().contains(name)) return false;
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
  const std::set<std::string> present = factorSites(adapter.tensors);
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

Result<void> checkAdapterFits(const std::filesystem::path& path, const std::vector<SiteShape>& sites) {
  Result<WeightSummary> weights = inspectWeights(path);
  if (!weights) return weights.error();
  std::map<std::string, std::vector<int64_t>> shapes;
  std::set<std::string> adapted;
  for (const TensorInfo& tensor : weights->tensors) {
    const std::string name = plainPeftName(tensor.name);
    const std::string site = factorSite(name);
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
  Result<std::map<std::string, std::string>> names = modelNames(factorSites(adapter.tensors), own);
  if (!names) return names.error();
  renameSites(adapter, *names);
  fitTargets(adapter, model);
  if (auto same = dropUnchangedEmbeddings(adapter, model); !same) return same.error();

  MethodSettings& settings = adapter.settings;
  auto& saved = settings.modulesToSave;
  std::vector<std::string> strangers;
  for (const auto& [name, tensor] : adapter.tensors) {
    if (!factorSite(name).empty() || isHead(model, name)) continue;
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

#pragma once
// A method that adds modules to a frozen model instead of changing its weights: bottleneck adapters, prefixes, edits of
// hidden states. Each kind is one file pair in inserted/ and one line in inserted_kinds(); here is what all of them
// share: the head and saved modules that train beside them, files, checkpoints. None of them can be merged into the
// weights. Training thread only.

#include <nlohmann/json.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/methods/method.h"

namespace rankscope {

// What a kind of module needs to know of a model that is not loaded.
struct ModelOutline {
  int64_t hidden = 0, layers = 0, keyValueWidth = 0;
  const std::vector<SiteShape>* sites = nullptr;
};

// Of one layer of an outline.
struct InsertedCost {
  int64_t trained = 0;       // parameters
  int64_t keptPerToken = 0;  // values kept for backward
};

// The modules of one method in one model.
class InsertedModules {
 public:
  virtual ~InsertedModules() = default;
  // What trains, by module path and tensor ("model.layers.0.output_adapters.down.weight"), all leaves.
  const std::vector<OptimizedParameter>& trainable() const { return m_trainable; }
  // Frozen tensors that belong to a checkpoint.
  const std::vector<OptimizedParameter>& frozen() const { return m_frozen; }
  // Puts the modules into the model, once their tensors have their first values.
  virtual void attach(Model& model) const = 0;
  // Keys of the adapter's config beside those that all share.
  virtual void describe(const Model& model, nlohmann::json& config) const = 0;
  // What an adapter's file holds of them, and the way back; what trains and what is frozen unless the kind says
  // otherwise.
  virtual std::map<std::string, at::Tensor> saved() const;
  virtual Result<void> load(const std::map<std::string, at::Tensor>& tensors);
  // Frozen tensors of a checkpoint.
  virtual Result<void> loadFrozen(const std::map<std::string, at::Tensor>& tensors);

 protected:
  // A leaf of these values; `decayed` as weight decay sees it.
  at::Tensor addTrained(std::string name, const at::Tensor& value, bool decayed);

  std::vector<OptimizedParameter> m_trainable, m_frozen;
};

struct InsertedKind {
  std::string method;
  Result<std::unique_ptr<InsertedModules>> (*make)(const Model& model, const MethodSettings& settings);
  // Of block `layer`.
  Result<InsertedCost> (*cost)(const MethodSettings& settings, const ModelOutline& outline, int64_t layer);
};
// THE list, by method.name. Null for other methods.
const InsertedKind* findInsertedKind(const std::string& method);

std::unique_ptr<Method> makeInserted(MethodSettings settings);

// How modules draw their first values: a stream of its own for each name, so that one module's values do not depend on
// the others.
at::Tensor drawnNormal(const MethodSettings& settings, const std::string& name, at::IntArrayRef shape, double deviation,
                       const Model& model);
at::Tensor drawnUniform(const MethodSettings& settings, const std::string& name, at::IntArrayRef shape, double bound,
                        const Model& model);

// The chosen layers of a model that has `layers` of them; an error when none is left.
Result<std::vector<int64_t>> chosenLayers(const MethodSettings& settings, int64_t layers);
// The error of a method that the model's family has no place for.
Error noPlace(const MethodSettings& settings, const Model& model, const char* what);

}  // namespace rankscope

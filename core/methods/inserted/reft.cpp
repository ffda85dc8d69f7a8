#include "core/methods/inserted/reft.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/methods/method_options.h"
#include "core/methods/site_selection.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

struct ReftSettings {
  bool subtracts = true;  // LoReFT's − R h
  bool orthonormal = true;
  bool shared = true;  // both ends by the same weights
  int64_t rank = 8;
  double dropout = 0;
  EditedPositions positions;
  std::string positionText;

  // Weights of their own for the two ends.
  int64_t ends() const { return !shared && positions.first > 0 && positions.last > 0 ? 2 : 1; }
};

Result<ReftSettings> readReftSettings(const MethodSettings& given, int64_t hidden) {
  ReftSettings s;
  s.subtracts = given.name == "loreft";
  s.rank = given.rank;
  s.dropout = given.dropout;
  if (s.rank < 1 || s.rank > hidden)
    return Error{ErrorCode::Usage,
                 "The rank is out of range",
                 "method.rank",
                 std::to_string(s.rank),
                 fmt::format("1 … {}, the hidden size", hidden),
                 "Choose a rank such as 8."};
  if (!(s.dropout >= 0 && s.dropout < 1))
    return Error{ErrorCode::Usage, "The dropout is out of range", "method.dropout", fmt::format("{}", s.dropout),
                 "0 … below 1",    "Choose 0.05, or 0 for none."};
  auto orthonormal = flagOption(given, "orthonormal", false);
  if (!orthonormal) return orthonormal.error();
  s.orthonormal = s.subtracts || *orthonormal;
  auto shared = flagOption(given, "share_weights", true);
  if (!shared) return shared.error();
  s.shared = *shared;
  s.positionText = textOption(given, "positions", "f7+l7");
  auto positions = readPositions(s.positionText);
  if (!positions) return positions.error();
  s.positions = *positions;
  return s;
}

// Rows of a packed batch at the two ends of each prompt.
std::pair<std::vector<int64_t>, std::vector<int64_t>> endRows(const EditedPositions& wanted, const PackedBatch& batch,
                                                              const std::vector<int64_t>& prompts) {
  std::vector<int64_t> first, last;
  if (wanted.all) {
    for (int64_t row = 0; row < batch.tokens(); ++row) first.push_back(row);
    return {first, last};
  }
  for (size_t s = 0; s < prompts.size(); ++s) {
    const int64_t begin = batch.starts[s], length = prompts[s];
    // A prompt of one token has no half; an edit asked for at one end alone still takes it.
    const bool both = wanted.first > 0 && wanted.last > 0;
    const int64_t most = both ? length / 2 : std::max(length / 2, std::min<int64_t>(length, 1));
    for (int64_t i = 0; i < std::min(wanted.first, most); ++i) first.push_back(begin + i);
    for (int64_t i = std::min(wanted.last, most); i > 0; --i) last.push_back(begin + length - i);
  }
  return {first, last};
}

// One edit's weights.
struct Edit {
  at::Tensor sourceWeight, sourceBias;  // U [r, d], b [r]
  at::Tensor original;                  // X [d, r], of an orthonormal R
  OrthogonalBase base;
  at::Tensor projection;  // U1 [r, d], of an unconstrained one
};

class ReftInsertion final : public Insertion {
 public:
  ReftInsertion(ReftSettings settings, size_t blocks) : m_settings(std::move(settings)), m_first(blocks, -1) {}

  void add(size_t layer, Edit edit) {
    if (m_first[layer] < 0) m_first[layer] = static_cast<int64_t>(m_edits.size());
    m_edits.push_back(std::move(edit));
  }
  const std::vector<Edit>& all() const { return m_edits; }
  std::vector<Edit>& all() { return m_edits; }

  // Tracked: R or U1 of every edit. Constants: the rows, and how many of them are at the front.
  InsertedPass begin(const PackedBatch& batch, const std::vector<int64_t>& prompts,
                     at::ScalarType compute) const override {
    InsertedPass pass;
    for (const Edit& edit : m_edits)
      pass.tracked.push_back(
          (m_settings.orthonormal ? orthonormalRows(edit.base, edit.original) : edit.projection).to(compute));
    if (prompts.empty()) return pass;
    const auto [first, last] = endRows(m_settings.positions, batch, prompts);
    const at::Device device = batch.inputIds.device();
    pass.constants = {at::cat({at::tensor(first, at::kLong), at::tensor(last, at::kLong)}).to(device),
                      at::scalar_tensor(static_cast<int64_t>(first.size()), at::kLong)};
    return pass;
  }

  bool edits(size_t layer) const override { return m_first.at(layer) >= 0; }
  at::Tensor editedRows(const InsertedPass& pass) const override { return pass.constants.front(); }

  at::Tensor edit(size_t layer, const at::Tensor& h, const InsertedPass& pass, ForwardContext& context) const override {
    const auto index = static_cast<size_t>(m_first.at(layer));
    at::Tensor out;
    if (m_settings.ends() == 1) {
      out = changeBy(index, h, pass);
    } else {
      const int64_t front = pass.constants[1].item<int64_t>();
      out = at::cat({changeBy(index, h.narrow(0, 0, front), pass),
                     changeBy(index + 1, h.narrow(0, front, h.size(0) - front), pass)});
    }
    // pyreft drops entries of the edited state, not of the edit.
    if (context.training && m_settings.dropout > 0) return dropped(h + out, context) - h;
    return out;
  }

 private:
  at::Tensor changeBy(size_t index, const at::Tensor& h, const InsertedPass& pass) const {
    const Edit& edit = m_edits[index];
    const at::Tensor& rows = pass.tracked[index];
    at::Tensor low = kernels::linear(h, edit.sourceWeight, edit.sourceBias);
    if (m_settings.subtracts) low = low - at::linear(h, rows);
    return low.mm(rows);
  }

  at::Tensor dropped(const at::Tensor& x, ForwardContext& context) const {
    return kernels::dropout(x, m_settings.dropout,
                            kernels::dropoutSeed(context.dropoutSeed, context.step, context.microBatch),
                            context.nextPlace++);
  }

  ReftSettings m_settings;
  std::vector<int64_t> m_first;  // by layer, the place of its first edit; -1: none
  std::vector<Edit> m_edits;
};

class ReftModules final : public InsertedModules {
 public:
  ReftModules(const Model& model, const MethodSettings& given, const ReftSettings& s,
              const std::vector<int64_t>& layers)
      : m_method(given.name), m_settings(s), m_layers(layers) {
    const InsertionPlaces places = model.insertionPlaces();
    m_insertion = std::make_shared<ReftInsertion>(s, places.blocks.size());
    for (const int64_t layer : layers)
      for (int64_t end = 0; end < s.ends(); ++end) {
        const std::string name = places.blocks[static_cast<size_t>(layer)] + ".reft" +
                                 (s.ends() == 1 ? ""
                                  : end == 0    ? ".prefix"
                                                : ".suffix");
        m_names.push_back(name);
        m_insertion->add(static_cast<size_t>(layer), edit(model, given, name));
      }
  }

  void attach(Model& model) const override { model.insertion = m_insertion; }

  void describe(const Model&, nlohmann::json& config) const override {
    config["peft_type"] = "REFT";
    config["intervention_type"] = m_method;
    config["orthonormal"] = m_settings.orthonormal;
    config["r"] = m_settings.rank;
    config["dropout"] = m_settings.dropout;
    config["positions"] = m_settings.positionText;
    config["share_weights"] = m_settings.shared;
    config["layers_to_transform"] = m_layers;
  }

  // A file holds R itself, as pyreft's does; X and Q0 begin anew from it.
  std::map<std::string, at::Tensor> saved() const override {
    const at::NoGradGuard off;
    std::map<std::string, at::Tensor> out;
    for (size_t i = 0; i < m_names.size(); ++i) {
      const Edit& edit = m_insertion->all()[i];
      out[m_names[i] + ".learned_source.weight"] = edit.sourceWeight.detach();
      out[m_names[i] + ".learned_source.bias"] = edit.sourceBias.detach();
      if (m_settings.orthonormal)
        out[m_names[i] + ".rotate_layer.weight"] = orthonormalRows(edit.base, edit.original).t().contiguous();
      else
        out[m_names[i] + ".proj_layer.weight"] = edit.projection.detach();
    }
    return out;
  }

  Result<void> load(const std::map<std::string, at::Tensor>& tensors) override {
    for (const auto& [name, wanted] : saved()) {
      const auto found = tensors.find(name);
      if (found == tensors.end() || found->second.sizes() != wanted.sizes())
        return Error{ErrorCode::BadInput,
                     "An edit's tensor does not fit the model",
                     name,
                     found == tensors.end() ? "nothing" : c10::str(found->second.sizes()),
                     c10::str(wanted.sizes()),
                     "Give the adapter that was made for this model, with the same rank and layers."};
    }
    const at::NoGradGuard off;
    for (size_t i = 0; i < m_names.size(); ++i) {
      Edit& edit = m_insertion->all()[i];
      edit.sourceWeight.copy_(tensors.at(m_names[i] + ".learned_source.weight"));
      edit.sourceBias.copy_(tensors.at(m_names[i] + ".learned_source.bias"));
      if (!m_settings.orthonormal) {
        edit.projection.copy_(tensors.at(m_names[i] + ".proj_layer.weight"));
        continue;
      }
      const std::string name = m_names[i] + ".rotate_layer.weight";
      const at::Tensor columns = tensors.at(name).to(edit.original.scalar_type());
      const at::Tensor eye = at::eye(m_settings.rank, columns.options());
      if (!at::allclose(columns.t().mm(columns), eye, 0, 1e-3))
        return Error{ErrorCode::BadInput,
                     "An edit's rows are not orthonormal",
                     name,
                     "rows of other lengths or angles",
                     "R Rᵀ = I",
                     "Check the file; pyreft saves such a matrix when weight decay has acted on it."};
      startFrom(edit, columns);
    }
    return {};
  }

  // A base that was made elsewhere may consist of more reflectors, up to one for each dimension.
  Result<void> loadFrozen(const std::map<std::string, at::Tensor>& tensors) override {
    for (size_t i = 0; m_settings.orthonormal && i < m_names.size(); ++i) {
      OrthogonalBase& base = m_insertion->all()[i].base;
      const auto reflectors = tensors.find(m_names[i] + ".rotate_layer.base.reflectors");
      if (reflectors == tensors.end() || reflectors->second.dim() != 2) continue;  // said below
      const int64_t d = base.signs.size(0), count = reflectors->second.size(1);
      if (reflectors->second.size(0) != d || count < m_settings.rank || count > d) continue;
      base.reflectors.resize_({d, count});
      base.factors.resize_({count});
    }
    return InsertedModules::loadFrozen(tensors);
  }

 private:
  // R = `columns`ᵀ, X at the parametrisation's start: −1 on its diagonal.
  static void startFrom(Edit& edit, const at::Tensor& columns) {
    const OrthogonalBase base = OrthogonalBase::completing(columns);
    edit.base.reflectors.copy_(base.reflectors);
    edit.base.factors.copy_(base.factors);
    edit.base.signs.copy_(base.signs);
    edit.original.zero_();
    edit.original.diagonal().fill_(-1);
  }

  Edit edit(const Model& model, const MethodSettings& given, const std::string& name) {
    const int64_t d = model.hiddenSize(), r = m_settings.rank;
    const double bound = 1 / std::sqrt(static_cast<double>(d));
    const auto linear = [&](const std::string& part, at::IntArrayRef shape, bool decayed) {
      return addTrained(name + part, drawnUniform(given, name + part, shape, bound, model), decayed);
    };
    Edit edit;
    edit.sourceWeight = linear(".learned_source.weight", {r, d}, true);
    edit.sourceBias = linear(".learned_source.bias", {r}, false);
    if (!m_settings.orthonormal) {
      edit.projection = linear(".proj_layer.weight", {r, d}, true);
      return edit;
    }
    const auto freeze = [&](const char* part, const at::Tensor& value) {
      m_frozen.push_back({name + ".rotate_layer.base." + part, value.clone()});
      return m_frozen.back().tensor;
    };
    const at::Tensor gaussian = drawnNormal(given, name + ".rotate_layer", {d, r}, 1, model);
    const OrthogonalBase base = OrthogonalBase::completing(std::get<0>(at::linalg_qr(gaussian)));
    edit.base = {freeze("reflectors", base.reflectors), freeze("factors", base.factors), freeze("signs", base.signs)};
    at::Tensor start = at::zeros({d, r}, gaussian.options());
    start.diagonal().fill_(-1);
    // Not decayed: X says a direction, not a size.
    edit.original = addTrained(name + ".rotate_layer.parametrizations.weight.original", start, false);
    return edit;
  }

  std::string m_method;
  ReftSettings m_settings;
  std::vector<int64_t> m_layers;
  std::vector<std::string> m_names;
  std::shared_ptr<ReftInsertion> m_insertion;
};

}  // namespace

at::Tensor OrthogonalBase::times(const at::Tensor& x) const {
  return at::ormqr(reflectors, factors, signs.unsqueeze(1) * x, /*left=*/true, /*transpose=*/false);
}

OrthogonalBase OrthogonalBase::completing(const at::Tensor& columns) {
  auto [reflectors, factors] = at::geqrf(columns);
  // The triangular factor of orthonormal columns is diagonal, ±1.
  at::Tensor signs = at::ones({columns.size(0)}, columns.options());
  signs.narrow(0, 0, columns.size(1)).copy_(reflectors.diagonal().sign());
  return {reflectors.tril(-1), factors, signs};
}

at::Tensor orthonormalRows(const OrthogonalBase& base, const at::Tensor& original) {
  const at::Tensor lower = original.tril(-1);
  const at::Tensor factors = 2 / (1 + lower.square().sum(0));
  // ±1. PyTorch casts the diagonal to whole numbers, where −0.999 becomes 0 and R with it; its sign means the same.
  const at::Tensor signs = original.detach().diagonal().sign();
  return base.times(at::linalg_householder_product(lower, factors) * signs).t();
}

Result<std::unique_ptr<InsertedModules>> makeReft(const Model& model, const MethodSettings& given) {
  if (model.insertionPlaces().blocks.empty()) return noPlace(given, model, "a model of transformer blocks");
  auto settings = readReftSettings(given, model.hiddenSize());
  if (!settings) return settings.error();
  auto layers = chosenLayers(given, model.numLayers());
  if (!layers) return layers.error();
  return std::unique_ptr<InsertedModules>(std::make_unique<ReftModules>(model, given, *settings, *layers));
}

Result<InsertedCost> reftCost(const MethodSettings& given, const ModelOutline& outline, int64_t layer) {
  auto settings = readReftSettings(given, outline.hidden);
  if (!settings) return settings.error();
  auto layers = LayerFilter::make(given.layersToTransform);
  if (!layers) return layers.error();
  if (!layers->contains(layer)) return InsertedCost{};
  return InsertedCost{settings->ends() * (2 * outline.hidden * settings->rank + settings->rank), 0};
}

}  // namespace rankscope

#include "core/methods/inserted/prefix.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "core/methods/method_options.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

constexpr const char* kTable = "prompt_encoder.embedding.weight";
constexpr const char* kSaved = "prompt_embeddings";  // PEFT's name of the result

struct PrefixSettings {
  int64_t tokens = 30;
  bool projection = false;
  int64_t inner = 0;  // of the projection
};

Result<PrefixSettings> readPrefixSettings(const MethodSettings& given, int64_t keyWidth) {
  PrefixSettings s;
  auto tokens = countOption(given, "virtual_tokens", s.tokens, 1);
  if (!tokens) return tokens.error();
  s.tokens = *tokens;
  auto projection = flagOption(given, "prefix_projection", false);
  if (!projection) return projection.error();
  s.projection = *projection;
  auto inner = countOption(given, "projection_size", 0, 0);
  if (!inner) return inner.error();
  s.inner = *inner > 0 ? *inner : keyWidth;
  return s;
}

// The table itself, or what it is projected from: Embedding[n, d], two linear maps around tanh.
struct Source {
  at::Tensor table, firstWeight, firstBias, secondWeight, secondBias;

  at::Tensor rows() const {
    if (!firstWeight.defined()) return table;
    return at::linear(at::tanh(at::linear(table, firstWeight, firstBias)), secondWeight, secondBias);
  }
};

class PrefixInsertion final : public Insertion {
 public:
  PrefixInsertion(const Source& source, int64_t tokens, int64_t layerWidth)
      : m_source(source), m_tokens(tokens), m_layerWidth(layerWidth) {}

  InsertedPass begin(const PackedBatch&, const std::vector<int64_t>&, at::ScalarType compute) const override {
    return {{m_source.rows().to(compute)}, {}};
  }
  int64_t prefixLength() const override { return m_tokens; }
  at::Tensor prefix(size_t layer, const InsertedPass& pass) const override {
    return pass.tracked.front().narrow(1, static_cast<int64_t>(layer) * m_layerWidth, m_layerWidth);
  }

 private:
  Source m_source;
  int64_t m_tokens, m_layerWidth;
};

class PrefixModules final : public InsertedModules {
 public:
  PrefixModules(const Model& model, const MethodSettings& given, const PrefixSettings& s) : m_settings(s) {
    const InsertionPlaces places = model.insertionPlaces();
    const int64_t layerWidth = 2 * places.keyValueHeads * places.headDim, width = model.numLayers() * layerWidth;
    m_heads = places.keyValueHeads;
    m_tokenDim = places.keyValueHeads * places.headDim;
    m_source.table =
        addTrained(kTable, drawnNormal(given, kTable, {s.tokens, s.projection ? m_tokenDim : width}, 1, model), true);
    if (s.projection) {
      const auto map = [&](const char* name, int64_t in, int64_t out, at::Tensor& weight, at::Tensor& bias) {
        const std::string module = std::string("prompt_encoder.transform.") + name;
        const double bound = 1 / std::sqrt(static_cast<double>(in));
        weight = addTrained(module + ".weight", drawnUniform(given, module + ".weight", {out, in}, bound, model), true);
        bias = addTrained(module + ".bias", drawnUniform(given, module + ".bias", {out}, bound, model), false);
      };
      map("0", m_tokenDim, s.inner, m_source.firstWeight, m_source.firstBias);
      map("2", s.inner, width, m_source.secondWeight, m_source.secondBias);
    }
    m_insertion = std::make_shared<PrefixInsertion>(m_source, s.tokens, layerWidth);
  }

  void attach(Model& model) const override { model.insertion = m_insertion; }

  void describe(const Model& model, nlohmann::json& config) const override {
    config["peft_type"] = "PREFIX_TUNING";
    config["num_virtual_tokens"] = m_settings.tokens;
    config["prefix_projection"] = m_settings.projection;
    config["encoder_hidden_size"] = m_settings.inner;
    config["num_layers"] = model.numLayers();
    config["num_attention_heads"] = m_heads;
    config["token_dim"] = m_tokenDim;
    config["num_transformer_submodules"] = 1;
  }

  std::map<std::string, at::Tensor> saved() const override {
    const at::NoGradGuard off;
    return {{kSaved, m_source.rows().detach()}};
  }

  // A file holds the rows alone; the projection that they came from is not in it.
  Result<void> load(const std::map<std::string, at::Tensor>& tensors) override {
    const auto found = tensors.find(kSaved);
    const at::Tensor wanted = saved().at(kSaved);
    if (found == tensors.end() || found->second.sizes() != wanted.sizes())
      return Error{ErrorCode::BadInput,
                   "The prefix does not fit the model",
                   kSaved,
                   found == tensors.end() ? "nothing" : c10::str(found->second.sizes()),
                   c10::str(wanted.sizes()),
                   "Give the adapter that was made for this model."};
    const at::NoGradGuard off;
    if (!m_settings.projection) {
      m_source.table.copy_(found->second);
      return {};
    }
    return Error{ErrorCode::Usage,
                 "a prefix that was trained with a projection is loaded without it",
                 "method.prefix_projection",
                 "true",
                 "false",
                 "The file holds the projected rows alone; load them with the projection off, or go on from the run's "
                 "checkpoint."};
  }

 private:
  PrefixSettings m_settings;
  Source m_source;
  int64_t m_heads = 0, m_tokenDim = 0;
  std::shared_ptr<PrefixInsertion> m_insertion;
};

}  // namespace

Result<std::unique_ptr<InsertedModules>> makePrefix(const Model& model, const MethodSettings& given) {
  const InsertionPlaces places = model.insertionPlaces();
  if (places.blocks.empty() || places.keyValueHeads == 0)
    return noPlace(given, model, "a model whose attention takes keys and values that belong to no token");
  auto settings = readPrefixSettings(given, places.keyValueHeads * places.headDim);
  if (!settings) return settings.error();
  if (model.maxPositions() > 0 && settings->tokens >= model.maxPositions())
    return Error{ErrorCode::Usage,
                 "the prefix leaves no room for text",
                 "method.virtual_tokens",
                 std::to_string(settings->tokens),
                 fmt::format("below {}, the model's positions", model.maxPositions()),
                 "Choose fewer virtual tokens, such as 30."};
  return std::unique_ptr<InsertedModules>(std::make_unique<PrefixModules>(model, given, *settings));
}

Result<InsertedCost> prefixCost(const MethodSettings& given, const ModelOutline& outline, int64_t layer) {
  auto settings = readPrefixSettings(given, outline.keyValueWidth);
  if (!settings) return settings.error();
  const int64_t layerWidth = 2 * outline.keyValueWidth, n = settings->tokens;
  InsertedCost cost;
  if (settings->projection) {
    cost.trained = (settings->inner + 1) * layerWidth;
    if (layer == 0) cost.trained += n * outline.keyValueWidth + (outline.keyValueWidth + 1) * settings->inner;
  } else {
    cost.trained = n * layerWidth;
  }
  return cost;
}

}  // namespace rankscope

#pragma once
// Small random encoders with every option of their families, and a batch for each of their heads.

#include <ATen/CPUGeneratorImpl.h>

#include "golden_case.h"
#include "tests/support/random_models.h"

namespace rankscope::testing {

using nlohmann::json;

inline json tiny(const char* type) {
  return {{"model_type", type},        {"vocab_size", 40},          {"hidden_size", 12},
          {"intermediate_size", 20},   {"num_hidden_layers", 2},    {"num_attention_heads", 3},
          {"max_position_embeddings", 26}, {"type_vocab_size", 2},  {"initializer_range", 0.4},
          {"pad_token_id", 1},         {"hidden_dropout_prob", 0.1}, {"attention_probs_dropout_prob", 0.2}};
}

inline json deberta(json more) {
  auto config = tiny("deberta-v2");
  config.update(json{{"relative_attention", true}, {"pos_att_type", {"p2c", "c2p"}}, {"norm_rel_ebd", "layer_norm"}});
  config.update(more);
  return config;
}

inline std::vector<std::pair<std::string, json>> configs() {
  auto untied = tiny("bert"), relu = tiny("bert");
  untied["tie_word_embeddings"] = false;
  relu["hidden_act"] = "relu";
  return {{"bert", tiny("bert")},
          {"bert untied", untied},
          {"bert relu", relu},
          {"roberta", tiny("roberta")},
          {"mpnet", tiny("mpnet")},
          {"deberta v2", deberta({{"position_buckets", 6}, {"conv_kernel_size", 3}, {"conv_act", "gelu"}})},
          {"deberta v3", deberta({{"position_buckets", 4}, {"share_att_key", true}, {"position_biased_input", false}})},
          {"deberta c2p", deberta({{"position_buckets", 4}, {"pos_att_type", "c2p"}, {"type_vocab_size", 0}})},
          {"deberta p2c", deberta({{"max_relative_positions", 5}, {"pos_att_type", {"p2c"}}, {"norm_rel_ebd", "none"}})},
          {"deberta narrow", deberta({{"position_buckets", 4}, {"embedding_size", 8}, {"conv_kernel_size", 5},
                                      {"conv_groups", 3}, {"legacy", false}, {"pooler_hidden_act", "tanh"}})},
          {"deberta plain", deberta({{"relative_attention", false}})}};
}

inline const std::pair<const char*, HeadKind> kHeads[] = {{"classes", HeadKind::SequenceClassification},
                                                   {"masked", HeadKind::MaskedLm},
                                                   {"span", HeadKind::TokenSpan}};

inline std::unique_ptr<Model> made(const json& config, HeadKind head, at::ScalarType dtype = at::kFloat) {
  // The legacy-free head cannot be narrower than the model.
  auto own = config;
  if (head == HeadKind::MaskedLm && own.contains("embedding_size")) own["legacy"] = true;
  auto model = randomModel(own, head, dtype);
  // Biases and norms away from where they start, so that leaving one out shows.
  auto generator = at::detail::createCPUGenerator(5);
  for (const auto& entry : model->parameters().entries())
    if (entry.tensor.dim() == 1) {
      auto tensor = entry.tensor;
      tensor.add_(at::empty(tensor.sizes(), at::kFloat).normal_(0, 0.2, generator));
    }
  model->rebind();
  return model;
}

inline constexpr int64_t kLengths[] = {7, 1, 10, 4};

inline PackedBatch batchFor(HeadKind head, int64_t types) {
  PackedBatch batch;
  batch.starts = {0};
  std::vector<int64_t> ids, positions, kinds, spans, masked;
  for (const auto length : kLengths) {
    for (int64_t t = 0; t < length; ++t) {
      const auto n = static_cast<int64_t>(ids.size());
      ids.push_back(2 + (n * 17 + length * 5) % 38);
      positions.push_back(t);
      kinds.push_back(2 * t > length ? 1 : 0);
      masked.push_back(n % 3 == 1 ? (n * 7) % 40 : -100);
    }
    batch.starts.push_back(batch.starts.back() + length);
    spans.push_back(length / 3);
    spans.push_back(length - 1);
  }
  batch.inputIds = at::tensor(ids, at::kLong);
  batch.positionIds = at::tensor(positions, at::kLong);
  if (types > 1) batch.tokenTypeIds = at::tensor(kinds, at::kLong);
  if (head == HeadKind::SequenceClassification) batch.labels = at::tensor({2, 0, 1, 2}, at::kLong);
  if (head == HeadKind::MaskedLm) batch.labels = at::tensor(masked, at::kLong);
  if (head == HeadKind::TokenSpan) batch.labels = at::tensor(spans, at::kLong).view({-1, 2});
  return batch;
}

inline PackedBatch oneOf(const PackedBatch& batch, size_t s) {
  PackedBatch one;
  const auto begin = batch.starts[s], length = batch.starts[s + 1] - begin;
  one.starts = {0, length};
  one.inputIds = batch.inputIds.narrow(0, begin, length);
  one.positionIds = batch.positionIds.narrow(0, begin, length);
  if (batch.tokenTypeIds.defined()) one.tokenTypeIds = batch.tokenTypeIds.narrow(0, begin, length);
  return one;
}

inline void trainEverything(Model& model) {
  for (const auto& entry : model.parameters().entries()) {
    auto tensor = entry.tensor;
    tensor.requires_grad_();
  }
  model.rebind();
}

inline ForwardContext noisy() {
  ForwardContext context;
  context.training = true;
  context.dropoutSeed = 9;
  context.step = 4;
  return context;
}

}  // namespace rankscope::testing

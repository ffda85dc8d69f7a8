#pragma once
// Small configurations of the model families, and models of random weights made from them.

#include <QtCore/QTemporaryDir>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/models/registry.h"

namespace rankscope::testing {

inline nlohmann::json rotary(const char* type, nlohmann::json more) {
  nlohmann::json config{{"model_type", type},
                        {"vocab_size", 61},
                        {"hidden_size", 24},
                        {"intermediate_size", 40},
                        {"num_hidden_layers", 3},
                        {"num_attention_heads", 4},
                        {"num_key_value_heads", 2},
                        {"head_dim", 8},
                        {"max_position_embeddings", 64},
                        {"initializer_range", 0.15},
                        {"tie_word_embeddings", false}};
  config.update(more);
  return config;
}

inline nlohmann::json gpt2(nlohmann::json more = nlohmann::json::object()) {
  nlohmann::json config{{"model_type", "gpt2"}, {"vocab_size", 61},         {"n_embd", 24},      {"n_layer", 3},
                        {"n_head", 4},          {"n_positions", 64},        {"attn_pdrop", 0.0}, {"embd_pdrop", 0.0},
                        {"resid_pdrop", 0.0},   {"initializer_range", 0.15}};
  config.update(more);
  return config;
}

// Narrow widths that no two have in common; `more` on top.
inline nlohmann::json encoder(const char* type, nlohmann::json more = nlohmann::json::object()) {
  nlohmann::json config{{"model_type", type},        {"vocab_size", 61},           {"hidden_size", 24},
                        {"intermediate_size", 40},   {"num_hidden_layers", 3},     {"num_attention_heads", 4},
                        {"max_position_embeddings", 40}, {"type_vocab_size", 2},   {"initializer_range", 0.15},
                        {"pad_token_id", 1},         {"hidden_dropout_prob", 0.1}, {"attention_probs_dropout_prob", 0.1}};
  config.update(more);
  return config;
}

// One of each family of language models.
inline const std::vector<std::pair<std::string, nlohmann::json>>& families() {
  static const std::vector<std::pair<std::string, nlohmann::json>> all = {
      {"llama", rotary("llama", nlohmann::json::object())},
      {"mistral", rotary("mistral", {{"sliding_window", 6}})},
      {"qwen3", rotary("qwen3", {{"tie_word_embeddings", true}})},
      {"gpt2", gpt2()},
      {"bert", encoder("bert")},
      {"roberta", encoder("roberta")},
      {"mpnet", encoder("mpnet")},
      {"deberta", encoder("deberta-v2", {{"relative_attention", true}, {"pos_att_type", {"p2c", "c2p"}}, {"position_buckets", 6}})}};
  return all;
}

struct Folder {
  QTemporaryDir dir;
  std::filesystem::path path() const { return dir.path().toStdString(); }
  explicit Folder(const nlohmann::json& config) { std::ofstream(path() / "config.json") << config.dump(); }
};

// Of three classes, where it classifies.
inline std::unique_ptr<Model> randomModel(const nlohmann::json& config, HeadKind head, at::ScalarType dtype = at::kFloat) {
  const Folder folder(config);
  ModelLoadOptions options;
  options.head = head;
  options.numLabels = 3;
  options.dtype = dtype;
  options.randomInit = true;
  options.seed = 11;
  auto model = loadModel(folder.path(), options);
  if (!model) qFatal("%s", model.error().message().c_str());
  return std::move(model).value();
}

}  // namespace rankscope::testing

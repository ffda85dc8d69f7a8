#pragma once
// Small configurations of the decoder families, and a folder that holds one.

#include <QtCore/QTemporaryDir>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

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

struct Folder {
  QTemporaryDir dir;
  std::filesystem::path path() const { return dir.path().toStdString(); }
  explicit Folder(const nlohmann::json& config) { std::ofstream(path() / "config.json") << config.dump(); }
};

}  // namespace rankscope::testing

#pragma once
// Models of two small layers for tests of training: random weights, and a vocabulary of a few words in the form in
// which each family has its tokenizer. Needs nothing outside the tree.

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "tests/core/train/train_fixture.h"

namespace rankscope::test {

inline constexpr const char* kNames[] = {"anna", "bert", "cora", "dora", "emil", "fred", "gina", "hugo"};
inline constexpr const char* kPlaces[] = {"lake", "hill", "wood", "park", "city", "farm", "cave", "port"};
inline constexpr const char* kRest[] = {"is", "at", "the", "now", "where", "who", "?", "."};

inline std::vector<std::string> knownWords() {
  std::vector<std::string> words;
  for (const auto& list : {kNames, kPlaces, kRest}) words.insert(words.end(), list, list + 8);
  return words;
}

inline std::string sentence(size_t name, size_t place) {
  return std::string(kNames[name]) + " is at the " + kPlaces[place] + " . ";
}

inline void write(const std::filesystem::path& file, const std::string& bytes) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// WordPiece, the special tokens first; `special` in the order pad, unknown, start, end, mask.
inline void writeWordPieces(const std::filesystem::path& folder, const std::vector<std::string>& special,
                            nlohmann::json settings) {
  std::string lines;
  for (const std::string& token : special) lines += token + "\n";
  for (const std::string& word : knownWords()) lines += word + "\n";
  write(folder / "vocab.txt", lines);
  settings["do_lower_case"] = true;
  write(folder / "tokenizer_config.json", settings.dump());
}

// Byte-level BPE: single letters, and merges that grow each word behind a blank. `special` in the order start, padding,
// end, unknown, mask; only those given.
inline void writeBytePairs(const std::filesystem::path& folder, const std::vector<std::string>& special,
                           const char* tokenizerClass) {
  const std::string blank = "\u0120";  // how byte-level vocabularies spell it
  nlohmann::json vocabulary = nlohmann::json::object();
  const auto add = [&](const std::string& piece) {
    if (!vocabulary.contains(piece)) vocabulary[piece] = vocabulary.size();
  };
  for (const std::string& token : special) add(token);
  add(blank);
  for (char c = 'a'; c <= 'z'; ++c) add(std::string(1, c));
  for (const char* mark : {"?", "."}) add(mark);
  std::string merges = "#version: 0.2\n";
  for (const std::string& word : knownWords()) {
    std::string grown = blank;
    for (const char c : word) {
      const std::string longer = grown + c;
      if (!vocabulary.contains(longer)) merges += grown + " " + c + "\n";
      add(longer);
      grown = longer;
    }
  }
  write(folder / "vocab.json", vocabulary.dump());
  write(folder / "merges.txt", merges);
  write(folder / "tokenizer_config.json", nlohmann::json{{"tokenizer_class", tokenizerClass}}.dump());
}

// Unigram pieces with a mark for the blank, [CLS] a [SEP] b [SEP].
inline void writeUnigram(const std::filesystem::path& folder) {
  using nlohmann::json;
  json pieces = json::array(), added = json::array();
  const char* special[] = {"[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"};
  for (size_t id = 0; id < 5; ++id) {
    pieces.push_back({special[id], 0.0});
    added.push_back({{"id", id},
                     {"content", special[id]},
                     {"special", true},
                     {"normalized", false},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false}});
  }
  for (const std::string& word : knownWords()) pieces.push_back({"\u2581" + word, -3.0});
  const auto token = [](const char* name, int type) {
    return json{{"SpecialToken", {{"id", name}, {"type_id", type}}}};
  };
  const auto text = [](const char* name, int type) { return json{{"Sequence", {{"id", name}, {"type_id", type}}}}; };
  const json mark{{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}, {"split", true}};
  write(folder / "tokenizer.json",
        json{{"version", "1.0"},
             {"added_tokens", added},
             {"normalizer", nullptr},
             {"pre_tokenizer", mark},
             {"decoder", mark},
             {"post_processor",
              {{"type", "TemplateProcessing"},
               {"single", {token("[CLS]", 0), text("A", 0), token("[SEP]", 0)}},
               {"pair", {token("[CLS]", 0), text("A", 0), token("[SEP]", 0), text("B", 1), token("[SEP]", 1)}},
               {"special_tokens",
                {{"[CLS]", {{"id", "[CLS]"}, {"ids", {1}}, {"tokens", {"[CLS]"}}}},
                 {"[SEP]", {{"id", "[SEP]"}, {"ids", {2}}, {"tokens", {"[SEP]"}}}}}}}},
             {"model", {{"type", "Unigram"}, {"unk_id", 3}, {"vocab", pieces}, {"byte_fallback", false}}}}
            .dump());
  write(folder / "tokenizer_config.json", json{{"tokenizer_class", "DebertaV2Tokenizer"},
                                               {"cls_token", "[CLS]"},
                                               {"sep_token", "[SEP]"},
                                               {"pad_token", "[PAD]"},
                                               {"unk_token", "[UNK]"},
                                               {"mask_token", "[MASK]"}}
                                              .dump());
}

// config.json of an encoder; `more` on top.
inline void writeEncoder(const std::filesystem::path& folder, const char* type, const nlohmann::json& more) {
  nlohmann::json config{{"model_type", type},
                        {"vocab_size", 29},
                        {"hidden_size", 32},
                        {"num_hidden_layers", 2},
                        {"num_attention_heads", 2},
                        {"intermediate_size", 64},
                        {"max_position_embeddings", 66},
                        {"type_vocab_size", 2},
                        {"hidden_act", "gelu"},
                        {"layer_norm_eps", 1e-12},
                        {"hidden_dropout_prob", 0.0},
                        {"attention_probs_dropout_prob", 0.0}};
  config.update(more);
  write(folder / "config.json", config.dump());
}

struct SmallModel {
  const char* name;
  const char* questionArchitecture;  // transformers' class of its answer spans
  const char* embedding;             // its first parameter, with transformers' prefix
  std::function<void(const std::filesystem::path& folder)> write;
};

inline const std::vector<SmallModel>& smallModels() {
  static const std::vector<SmallModel> models = {
      {"bert", "BertForQuestionAnswering", "bert.embeddings.word_embeddings.weight",
       [](const auto& folder) {
         writeWordPieces(folder, {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
                         {{"tokenizer_class", "BertTokenizer"}});
         writeEncoder(folder, "bert", nlohmann::json::object());
       }},
      {"roberta", "RobertaForQuestionAnswering", "roberta.embeddings.word_embeddings.weight",
       [](const auto& folder) {
         writeBytePairs(folder, {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}, "RobertaTokenizer");
         writeEncoder(folder, "roberta", {{"vocab_size", 120}, {"type_vocab_size", 1}, {"pad_token_id", 1}});
       }},
      {"mpnet", "MPNetForQuestionAnswering", "mpnet.embeddings.word_embeddings.weight",
       [](const auto& folder) {
         writeWordPieces(folder, {"<s>", "<pad>", "</s>", "[UNK]", "<mask>"},
                         {{"tokenizer_class", "MPNetTokenizer"},
                          {"bos_token", "<s>"},
                          {"eos_token", "</s>"},
                          {"cls_token", "<s>"},
                          {"sep_token", "</s>"},
                          {"unk_token", "[UNK]"},
                          {"pad_token", "<pad>"},
                          {"mask_token", "<mask>"}});
         writeEncoder(folder, "mpnet", {{"pad_token_id", 1}, {"relative_attention_num_buckets", 32}});
       }},
      {"deberta-v3", "DebertaV2ForQuestionAnswering", "deberta.embeddings.word_embeddings.weight",
       [](const auto& folder) {
         writeUnigram(folder);
         writeEncoder(folder, "deberta-v2",
                      {{"type_vocab_size", 0},
                       {"relative_attention", true},
                       {"pos_att_type", {"p2c", "c2p"}},
                       {"norm_rel_ebd", "layer_norm"},
                       {"share_att_key", true},
                       {"position_biased_input", false},
                       {"position_buckets", 16}});
       }},
      {"deberta-v2", "DebertaV2ForQuestionAnswering", "deberta.embeddings.word_embeddings.weight",
       [](const auto& folder) {
         writeUnigram(folder);
         writeEncoder(folder, "deberta-v2",
                      {{"relative_attention", true},
                       {"pos_att_type", "c2p|p2c"},
                       {"norm_rel_ebd", "layer_norm"},
                       {"position_buckets", 16},
                       {"conv_kernel_size", 3},
                       {"conv_act", "gelu"}});
       }},
      {"gpt2", "GPT2ForQuestionAnswering", "transformer.wte.weight", [](const auto& folder) {
         writeBytePairs(folder, {"<|endoftext|>"}, "GPT2Tokenizer");
         write(folder / "config.json", nlohmann::json{{"model_type", "gpt2"},
                                                      {"vocab_size", 120},
                                                      {"n_embd", 32},
                                                      {"n_layer", 2},
                                                      {"n_head", 2},
                                                      {"n_positions", 64},
                                                      {"attn_pdrop", 0.0},
                                                      {"embd_pdrop", 0.0},
                                                      {"resid_pdrop", 0.0},
                                                      {"bos_token_id", 0},
                                                      {"eos_token_id", 0}}
                                           .dump());
       }}};
  return models;
}

// The folder of a model by its name in the list above.
inline std::string smallModel(const Home& home, const std::string& name) {
  for (const SmallModel& model : smallModels())
    if (model.name == name) {
      model.write(home.places.home / name);
      return (home.places.home / name).string();
    }
  qFatal("no small model %s", name.c_str());
  return {};
}

inline RunConfig smallRunConfig(const std::vector<std::string>& assignments) {
  RunConfig config;
  assign(config, {"model.random_init=true", "train.batch_size=8", "train.threads=1", "train.compute_dtype=fp32",
                  "optim.learning_rate=0.003", "data.max_length=32", "seed=3"});
  assign(config, assignments);
  return config;
}

}  // namespace rankscope::test

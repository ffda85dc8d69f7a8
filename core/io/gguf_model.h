#pragma once
// What a GGUF file of a language model says in Hugging Face's terms: its config.json, the names and row order of its
// tensors, and the raw lists of its tokenizer. Free functions, any thread.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/io/gguf.h"

namespace rankscope {

struct GgufFamily {
  const char* architecture;  // GGUF's name
  const char* modelType;     // config.json's
  const char* className;     // transformers' class without "ForCausalLM"
  bool interleavedRotary;    // rows of q and k lie in pairs (i, i + half) side by side
};
// Null for an architecture that is not read here.
const GgufFamily* findGgufFamily(const std::string& architecture);

// "blk.0.attn_q.weight" -> "model.layers.0.self_attn.q_proj.weight"; unknown names stay as they are.
std::string modelNameOfGguf(const std::string& name);
// The reverse; "" for a name that GGUF does not know.
std::string ggufNameOfModel(const std::string& name);

// Row `row` of the model's matrix (rotary halves one after the other) in a file whose pairs are interleaved.
inline int64_t interleavedRow(int64_t row, int64_t headSize) {
  const int64_t within = row % headSize, half = headSize / 2;
  return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
}

// Like config.json of the same model.
Result<nlohmann::json> ggufModelConfig(const GgufTable& table, const std::string& where, std::string_view fileBytes);
Result<nlohmann::json> readGgufModelConfig(const std::filesystem::path& file);

// tokenizer.ggml.*, unread: which of it is used is the tokenizer's business.
struct GgufTokenizer {
  std::string model;  // "llama" (SentencePiece BPE with scores), "gpt2" (byte-level BPE with merges), …
  std::string pre;    // name of the pre-tokenizer: "llama-bpe", "qwen2", …
  std::vector<std::string> tokens, merges;
  std::vector<float> scores;
  std::vector<int32_t> types;  // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::optional<int64_t> bos, eos, unknown, padding;
  std::optional<bool> addBos, addEos, addSpacePrefix;
};
Result<GgufTokenizer> readGgufTokenizer(const std::filesystem::path& file);
// Its chat template alone, "" when there is none.
Result<std::string> readGgufChatTemplate(const std::filesystem::path& file);

}  // namespace rankscope

#include "core/text/gguf_tokenizer.h"

#include <fmt/format.h>

#include <cstring>

#include "core/config/text_shown.h"
#include "core/io/gguf_model.h"
#include "core/io/shard_index.h"
#include "core/text/bpe_model.h"
#include "core/text/pipeline.h"
#include "core/text/sentencepiece.h"
#include "core/text/word_patterns.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4 };  // the rest as SentencePiece

Error bad(const fs::path& file, std::string what, std::string found, std::string expected) {
  return {ErrorCode::BadInput, std::move(what), file.string(), std::move(found), std::move(expected),
          "Put the model's own tokenizer files beside the GGUF file."};
}

// Protocol-buffer wire format.
void putVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void putNumber(std::string& out, uint64_t field, uint64_t value) {
  putVarint(out, field << 3);
  putVarint(out, value);
}
void putText(std::string& out, uint64_t field, std::string_view text) {
  putVarint(out, field << 3 | 2);
  putVarint(out, text.size());
  out += text;
}
void putFloat(std::string& out, uint64_t field, float value) {
  putVarint(out, field << 3 | 5);
  char bytes[4];
  std::memcpy(bytes, &value, 4);
  out.append(bytes, 4);
}

int32_t typeOf(const GgufTokenizer& source, size_t id) { return source.types.empty() ? kNormal : source.types[id]; }

std::string pieceAt(const GgufTokenizer& source, const std::optional<int64_t>& id) {
  return id && *id >= 0 && static_cast<size_t>(*id) < source.tokens.size() ? source.tokens[static_cast<size_t>(*id)]
                                                                           : std::string();
}

// What tokenizer_config.json would say.
TokenizerConfig configOf(const GgufTokenizer& source, bool addBos) {
  TokenizerConfig config;
  config.json = {{"add_bos_token", source.addBos.value_or(addBos)}, {"add_eos_token", source.addEos.value_or(false)}};
  for (const auto& [key, id] : {std::pair{"bos_token", source.bos}, std::pair{"eos_token", source.eos},
                                std::pair{"unk_token", source.unknown}, std::pair{"pad_token", source.padding}})
    if (const std::string piece = pieceAt(source, id); !piece.empty()) config.json[key] = piece;
  for (size_t i = 0; i < source.tokens.size(); ++i)
    if (typeOf(source, i) == kControl)
      config.added.push_back({source.tokens[i], static_cast<int32_t>(i), true, false, false, false, false});
  config.bytes = config.json.dump();
  return config;
}

// The sentencepiece model that the file was made from, as far as GGUF keeps it. Field numbers: sentencepiece_model.proto.
Result<std::unique_ptr<Tokenizer>> fromScores(const GgufTokenizer& source, const fs::path& file) {
  if (source.scores.empty()) return bad(file, "GGUF file's pieces have no scores", "", "tokenizer.ggml.scores");
  std::string model;
  bool bytes = false;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    std::string piece;
    putText(piece, 1, source.tokens[i]);
    putFloat(piece, 2, source.scores[i]);
    putNumber(piece, 3, static_cast<uint64_t>(std::max(typeOf(source, i), int32_t{kNormal})));
    putText(model, 1, piece);
    bytes |= typeOf(source, i) == 6;
  }
  std::string trainer;
  putNumber(trainer, 3, 2);  // model_type: BPE
  putNumber(trainer, 35, bytes);
  for (const auto& [field, id] : {std::pair{45, source.unknown}, std::pair{46, source.bos}, std::pair{47, source.eos},
                                  std::pair{48, source.padding}})
    if (const std::string piece = pieceAt(source, id); !piece.empty()) putText(trainer, static_cast<uint64_t>(field), piece);
  putText(model, 2, trainer);
  std::string normalizer;
  putText(normalizer, 1, "identity");
  putNumber(normalizer, 3, source.addSpacePrefix.value_or(true));
  putNumber(normalizer, 4, 0);  // remove_extra_whitespaces
  putNumber(normalizer, 5, 1);  // escape_whitespaces
  putText(model, 3, normalizer);
  return sentencePieceFrom(model, configOf(source, true), file);
}

// How a byte-level tokenizer splits text, by llama.cpp's name for it.
struct Splitting {
  const char* name;
  const char* words;  // null: GPT-2's own expression
  bool digitsAlone = false, ignoreMerges = false, nfc = false, bos = false;
};
constexpr Splitting kSplittings[] = {
    {"gpt-2", nullptr},
    {"llama-bpe", kLlama3Words, false, true, false, true},
    {"llama3", kLlama3Words, false, true, false, true},
    {"qwen2", kQwenWords, false, false, true, false},
    {"smollm", nullptr, true},
};

Result<std::unique_ptr<Tokenizer>> fromMerges(const GgufTokenizer& source, const fs::path& file) {
  const Splitting* splitting = nullptr;
  std::string known;
  for (const Splitting& each : kSplittings) {
    if (source.pre == each.name) splitting = &each;
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  }
  if (!splitting)
    return bad(file, "GGUF file's tokenizer splits text in a way that is not known here",
               source.pre.empty() ? "tokenizer.ggml.pre is missing" : shown(source.pre), known);
  PipelineParts parts;
  Vocabulary vocabulary;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    const std::string& piece = source.tokens[i];
    const int32_t type = typeOf(source, i), id = static_cast<int32_t>(i);
    if (type == kControl) continue;  // among the config's
    if (type == kUserDefined) parts.added.push_back({piece, id, false, false, false, false, false});
    else if (piece.empty() || piece.size() > kMaxPieceBytes || !vocabulary.add(piece, id))
      return bad(file, "GGUF file's tokenizer has an empty piece or one twice", fmt::format("id {}", i), "each piece once");
  }
  std::vector<std::pair<std::string, std::string>> names;
  for (const std::string& merge : source.merges) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos) return bad(file, "merges of the tokenizer cannot be read", shown(merge), "two pieces");
    names.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  Result<std::vector<BpeMerge>> merges = mergesByName(names, vocabulary, "", file.string());
  if (!merges) return merges.error();
  BpeOptions options;
  options.ignoreMerges = splitting->ignoreMerges;
  parts.model = std::make_unique<BpeModel>(std::move(vocabulary), *merges, std::move(options));
  parts.decoder = builtInDecoder({{"type", "ByteLevel"}});
  if (splitting->nfc) parts.normalizer = builtInNormalizer({{"type", "NFC"}});
  json steps = json::array();
  if (splitting->digitsAlone) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (splitting->words)
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", splitting->words}}}, {"behavior", "Isolated"}});
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", splitting->words == nullptr}});
  parts.preTokenizer = builtInPreTokenizer({{"type", "Sequence"}, {"pretokenizers", steps}});
  const TokenizerConfig config = configOf(source, splitting->bos);
  const auto place = [&](const char* flag, const std::optional<int64_t>& id) {
    return config.flag(flag, false) && !pieceAt(source, id).empty() ? static_cast<int32_t>(*id) : -1;
  };
  parts.postProcessor.tokens = TokenTemplate::around(place("add_bos_token", source.bos), place("add_eos_token", source.eos));
  parts.postProcessor.prefixSpace = false;
  std::string content = source.pre + '\0';
  for (const auto* list : {&source.tokens, &source.merges})
    for (const std::string& text : *list) content += text + '\0';
  return makePipeline(std::move(parts), config, {}, content + config.bytes);
}

fs::path ggufFile(const fs::path& folder) {
  const Result<WeightFiles> files = findWeightFiles(folder);
  return files && files->files.size() == 1 && files->files.front().extension() == ".gguf" ? files->files.front() : fs::path();
}

}  // namespace

bool isGgufTokenizerFolder(const fs::path& folder) { return !ggufFile(folder).empty(); }

Result<std::unique_ptr<Tokenizer>> loadGgufTokenizer(const fs::path& path) {
  std::error_code code;
  const fs::path file = fs::is_directory(path, code) ? ggufFile(path) : path;
  if (file.empty()) return bad(path, "no GGUF file in the folder", "", "one GGUF file");
  Result<GgufTokenizer> source = readGgufTokenizer(file);
  if (!source) return source.error();
  if (source->tokens.size() > static_cast<size_t>(kMaxTokenId))
    return bad(file, "GGUF file's tokenizer has too many pieces", fmt::format("{}", source->tokens.size()), "");
  if (source->model == "llama") return fromScores(*source, file);
  if (source->model == "gpt2") return fromMerges(*source, file);
  return bad(file, "GGUF file's tokenizer is of a kind that is not known here", shown(source->model), "llama or gpt2");
}

}  // namespace rankscope

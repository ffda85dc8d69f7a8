#include "core/text/gguf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/text_shown.h"
#include "core/io/gguf_model.h"
#include "core/io/shard_index.h"
#include "core/text/bpe_model.h"
#include "core/text/pipeline.h"
#include "core/text/sentencepiece.h"
#include "core/text/tokenizer_json.h"
#include "core/text/word_patterns.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
// White space, numbers, apostrophes, scripts: what kinds of tokenizers treat each in their way.
constexpr const char* kSamples[] = {"Hello world, it's 2024 and I'LL pay 1,234.50!", "  two  spaces\n\n\tand a tab \r\n",
                                    "naïve Ünïcode, 漢字かな, العربية, 🙂👩‍👩‍👧", "def f(x):\n    return x**2  # done"};
enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6 };  // as SentencePiece

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

bool hasBytePieces(const GgufTokenizer& source) {
  return std::find(source.types.begin(), source.types.end(), kByte) != source.types.end();
}

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
std::string sentencePieceBytes(const GgufTokenizer& source) {
  std::string model;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    std::string piece;
    putText(piece, 1, source.tokens[i]);
    putFloat(piece, 2, source.scores[i]);
    putNumber(piece, 3, static_cast<uint64_t>(std::max(typeOf(source, i), int32_t{kNormal})));
    putText(model, 1, piece);
  }
  std::string trainer;
  putNumber(trainer, 3, 2);  // model_type: BPE
  putNumber(trainer, 35, hasBytePieces(source));
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
  return model;
}

Result<std::unique_ptr<Tokenizer>> fromScores(const GgufTokenizer& source, const fs::path& file) {
  if (source.scores.empty()) return bad(file, "GGUF file's pieces have no scores", "", "tokenizer.ggml.scores");
  return sentencePieceFrom(sentencePieceBytes(source), configOf(source, true), file);
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

Result<const Splitting*> splittingOf(const GgufTokenizer& source, const fs::path& file) {
  std::string known;
  for (const Splitting& each : kSplittings) {
    if (source.pre == each.name) return &each;
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  }
  return bad(file, "GGUF file's tokenizer splits text in a way that is not known here",
             source.pre.empty() ? "tokenizer.ggml.pre is missing" : shown(source.pre), known);
}

// As tokenizer.json writes them.
json byteLevel(bool words) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", words}};
}
json preTokenizerOf(const Splitting& splitting) {
  json steps = json::array();
  if (splitting.digitsAlone) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (splitting.words)
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", splitting.words}}}, {"behavior", "Isolated"}, {"invert", false}});
  steps.push_back(byteLevel(splitting.words == nullptr));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

// The token that is put before or behind every text; -1: none is.
int32_t placedToken(const GgufTokenizer& source, const TokenizerConfig& config, const char* flag, const std::optional<int64_t>& id) {
  return config.flag(flag, false) && !pieceAt(source, id).empty() ? static_cast<int32_t>(*id) : -1;
}

Result<std::unique_ptr<Tokenizer>> fromMerges(const GgufTokenizer& source, const fs::path& file) {
  const Result<const Splitting*> splitting = splittingOf(source, file);
  if (!splitting) return splitting.error();
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
  options.ignoreMerges = (*splitting)->ignoreMerges;
  parts.model = std::make_unique<BpeModel>(std::move(vocabulary), *merges, std::move(options));
  parts.decoder = builtInDecoder({{"type", "ByteLevel"}});
  if ((*splitting)->nfc) parts.normalizer = builtInNormalizer({{"type", "NFC"}});
  parts.preTokenizer = builtInPreTokenizer(preTokenizerOf(**splitting));
  const TokenizerConfig config = configOf(source, (*splitting)->bos);
  parts.postProcessor.tokens = TokenTemplate::around(placedToken(source, config, "add_bos_token", source.bos),
                                                     placedToken(source, config, "add_eos_token", source.eos));
  parts.postProcessor.prefixSpace = false;
  std::string content = source.pre + '\0';
  for (const auto* list : {&source.tokens, &source.merges})
    for (const std::string& text : *list) content += text + '\0';
  return makePipeline(std::move(parts), config, {}, content + config.bytes);
}

// Pairs of pieces whose union is a piece, the best score first: what SentencePiece's search does, as merges. Ties go as in
// transformers' convert_slow_tokenizer.py.
json mergesOf(const GgufTokenizer& source, const std::map<std::string_view, int32_t>& ids) {
  struct Merge {
    std::string_view left, right;
    float score;
    int32_t leftId, rightId;
  };
  const auto characters = [](std::string_view text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  };
  std::vector<Merge> merges;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    const std::string_view piece = source.tokens[i];
    if (typeOf(source, i) != kNormal || piece.find(' ') != std::string_view::npos) continue;
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      if ((static_cast<unsigned char>(piece[cut]) & 0xC0) == 0x80) continue;
      const auto left = ids.find(piece.substr(0, cut)), right = ids.find(piece.substr(cut));
      if (left != ids.end() && right != ids.end())
        merges.push_back({left->first, right->first, source.scores[i], left->second, right->second});
    }
  }
  std::stable_sort(merges.begin(), merges.end(), [&](const Merge& a, const Merge& b) {
    const auto key = [&](const Merge& m) {
      return std::tuple(-m.score, -characters(m.left), -characters(m.right), m.leftId, m.rightId);
    };
    return key(a) < key(b);
  });
  json list = json::array();
  for (const Merge& merge : merges) list.push_back(std::string(merge.left) + " " + std::string(merge.right));
  return list;
}

json templateOf(const GgufTokenizer& source, int32_t first, int32_t last) {
  json single = json::array(), pair = json::array(), specials = json::object();
  const auto token = [&](json& list, int32_t id, int type) {
    if (id < 0) return;
    const std::string& piece = source.tokens[static_cast<size_t>(id)];
    list.push_back({{"SpecialToken", {{"id", piece}, {"type_id", type}}}});
    specials[piece] = {{"id", piece}, {"ids", json::array({id})}, {"tokens", json::array({piece})}};
  };
  const auto text = [&](json& list, const char* name, int type) {
    token(list, first, type);
    list.push_back({{"Sequence", {{"id", name}, {"type_id", type}}}});
    token(list, last, type);
  };
  text(single, "A", 0);
  text(pair, "A", 0);
  text(pair, "B", 1);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", specials}};
}

// tokenizer.json of either kind.
json documentOf(const GgufTokenizer& source, const Splitting* splitting, const TokenizerConfig& config) {
  std::map<std::string_view, int32_t> ids;
  json vocab = json::object(), added = json::array(), model;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    const std::string& piece = source.tokens[i];
    const int32_t type = typeOf(source, i), id = static_cast<int32_t>(i);
    // Added tokens too: only what the vocabulary holds keeps its id for certain.
    ids.emplace(piece, id);
    vocab[piece] = id;
    if (type != kControl && type != kUnknown && type != kUserDefined) continue;
    added.push_back({{"id", id}, {"content", piece}, {"single_word", false}, {"lstrip", false}, {"rstrip", false},
                     {"normalized", type == kUserDefined && !splitting}, {"special", type != kUserDefined}});
  }
  const std::string mark = "\u2581";  // SentencePiece's blank
  json normalizer, preTokenizer, decoder;
  if (splitting) {
    model = {{"type", "BPE"}, {"unk_token", nullptr}, {"fuse_unk", false}, {"byte_fallback", false},
             {"ignore_merges", splitting->ignoreMerges}, {"merges", source.merges}};
    if (splitting->nfc) normalizer = {{"type", "NFC"}};
    preTokenizer = preTokenizerOf(*splitting);
    decoder = byteLevel(true);
  } else {
    const std::string unknown = pieceAt(source, source.unknown);
    model = {{"type", "BPE"}, {"unk_token", unknown.empty() ? json() : json(unknown)}, {"fuse_unk", true},
             {"byte_fallback", hasBytePieces(source)}, {"ignore_merges", false}, {"merges", mergesOf(source, ids)}};
    const bool prefixed = source.addSpacePrefix.value_or(true);
    const auto replace = [](const std::string& from, const std::string& to) {
      return json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
    };
    json steps = json::array();
    json back = json::array({replace(mark, " "), json{{"type", "ByteFallback"}}, json{{"type", "Fuse"}}});
    if (prefixed) {
      steps.push_back({{"type", "Prepend"}, {"prepend", mark}});
      back.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    steps.push_back(replace(" ", mark));
    normalizer = {{"type", "Sequence"}, {"normalizers", steps}};
    decoder = {{"type", "Sequence"}, {"decoders", back}};
  }
  for (const char* none : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) model[none] = nullptr;
  model["vocab"] = std::move(vocab);
  return {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added},
          {"normalizer", normalizer}, {"pre_tokenizer", preTokenizer},
          {"post_processor", templateOf(source, placedToken(source, config, "add_bos_token", source.bos),
                                        placedToken(source, config, "add_eos_token", source.eos))},
          {"decoder", decoder}, {"model", std::move(model)}};
}

// The file itself, or the one in a folder; empty: there is none.
fs::path ggufFile(const fs::path& folder) {
  std::error_code code;
  if (fs::is_regular_file(folder, code)) return folder;
  const Result<WeightFiles> files = findWeightFiles(folder);
  return files && files->files.size() == 1 && files->files.front().extension() == ".gguf" ? files->files.front() : fs::path();
}

}  // namespace

bool isGgufTokenizerFolder(const fs::path& folder) { return !ggufFile(folder).empty(); }

Result<std::unique_ptr<Tokenizer>> loadGgufTokenizer(const fs::path& path) {
  const fs::path file = ggufFile(path);
  if (file.empty()) return bad(path, "no GGUF file in the folder", "", "one GGUF file");
  Result<GgufTokenizer> source = readGgufTokenizer(file);
  if (!source) return source.error();
  if (source->tokens.size() > static_cast<size_t>(kMaxTokenId))
    return bad(file, "GGUF file's tokenizer has too many pieces", fmt::format("{}", source->tokens.size()), "");
  if (source->model == "llama") return fromScores(*source, file);
  if (source->model == "gpt2") return fromMerges(*source, file);
  return bad(file, "GGUF file's tokenizer is of a kind that is not known here", shown(source->model), "llama or gpt2");
}

Result<void> writeGgufTokenizer(const fs::path& path, const fs::path& folder) {
  // What cannot be loaded is not handed on.
  const Result<std::unique_ptr<Tokenizer>> own = loadGgufTokenizer(path);
  if (!own) return own.error();
  const fs::path file = ggufFile(path);
  Result<GgufTokenizer> source = readGgufTokenizer(file);
  if (!source) return source.error();
  Result<std::string> chat = readGgufChatTemplate(file);
  if (!chat) return chat.error();
  const bool pieces = source->model == "llama";
  const Splitting* splitting = pieces ? nullptr : *splittingOf(*source, file);
  TokenizerConfig config = configOf(*source, pieces || splitting->bos);
  const json document = documentOf(*source, splitting, config);
  // The class that takes tokenizer.json as it is, whatever the model's family.
  config.json["tokenizer_class"] = "PreTrainedTokenizerFast";
  config.json["clean_up_tokenization_spaces"] = false;
  if (!chat->empty()) config.json["chat_template"] = *chat;
  if (auto written = writeFileAtomically(folder / "tokenizer.json", jsonText(document, 1) + "\n"); !written) return written;
  if (pieces)
    if (auto written = writeFileAtomically(folder / "tokenizer.model", sentencePieceBytes(*source)); !written) return written;
  if (auto written = writeFileAtomically(folder / "tokenizer_config.json", jsonText(config.json, 2) + "\n"); !written)
    return written;
  // What counts are the files: they are read again and asked.
  const Result<std::unique_ptr<Tokenizer>> again = loadTokenizerJson(folder);
  if (!again) return again.error();
  for (const char* text : kSamples)
    if ((*again)->encode(text).ids != (*own)->encode(text).ids) {
      std::error_code ignored;
      for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json"}) fs::remove(folder / name, ignored);
      return bad(file, "GGUF file's tokenizer cannot be written as tokenizer.json: it would split text otherwise", shown(text), "");
    }
  return {};
}

}  // namespace rankscope

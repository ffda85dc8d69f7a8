#include "core/text/tiktoken.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "core/config/files.h"
#include "core/config/text_shown.h"
#include "core/text/base64.h"
#include "core/text/bpe_model.h"
#include "core/text/byte_level.h"
#include "core/text/pipeline.h"
#include "core/text/word_patterns.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxBytes = 64u << 20;
constexpr size_t kMaxTokenBytes = 1024;
constexpr int32_t kLlama3Ranks = 128000;
constexpr int32_t kLlama3Specials = 256;

// The base64 of a line of ranks; nullopt for other lines.
std::optional<std::pair<std::string_view, int64_t>> rankLine(std::string_view line) {
  const size_t blank = line.find(' ');
  if (blank == std::string_view::npos || blank == 0) return std::nullopt;
  int64_t rank = -1;
  const char* end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data() + blank + 1, end, rank);
  if (error != std::errc() || stop != end || rank < 0) return std::nullopt;
  return std::pair{line.substr(0, blank), rank};
}

// Tokens by rank, in GPT-2's alphabet of bytes.
Result<Vocabulary> readRanks(std::string_view text, const std::string& where) {
  Vocabulary vocabulary;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const auto parts = rankLine(line);
    const std::optional<std::string> token = parts ? fromBase64(parts->first) : std::nullopt;
    const bool usable = token && !token->empty() && token->size() <= kMaxTokenBytes && parts->second <= kMaxTokenId &&
                        !vocabulary.has(static_cast<int32_t>(parts->second)) &&
                        vocabulary.add(toByteLevel(*token), static_cast<int32_t>(parts->second));
    if (!usable)
      return Error{ErrorCode::BadInput, "ranks of the tokenizer cannot be read", fmt::format("{}:{}", where, number), shown(line),
                   "a token in base64, a blank, a rank; each once", kTokenizerHint};
  }
  return vocabulary;
}

// Whatever two tokens make a token together may be merged, at the rank of what they make.
std::vector<BpeMerge> mergesOf(const Vocabulary& vocabulary) {
  std::vector<BpeMerge> merges;
  std::vector<std::pair<std::string_view, int32_t>> pieces = vocabulary.all();
  std::sort(pieces.begin(), pieces.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  for (const auto& [piece, id] : pieces)
    for (size_t at = 1; at < piece.size(); ++at) {
      if ((static_cast<unsigned char>(piece[at]) & 0xC0u) == 0x80u) continue;
      const int32_t left = vocabulary.find(piece.substr(0, at));
      const int32_t right = left < 0 ? -1 : vocabulary.find(piece.substr(at));
      if (right >= 0) merges.push_back({left, right, id});
    }
  return merges;
}

// As Meta's own code lists them for Llama 3.1 and later.
std::vector<std::string> llama3Specials() {
  std::vector<std::string> names = {"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
                                    "<|finetune_right_pad_id|>", "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>",
                                    "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"};
  for (int32_t i = 2; static_cast<int32_t>(names.size()) < kLlama3Specials; ++i) names.push_back(fmt::format("<|reserved_special_token_{}|>", i));
  return names;
}

}  // namespace

bool isTiktokenFile(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string head(256, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  const size_t end = head.find('\n');
  const auto parts = rankLine(std::string_view(head).substr(0, end));
  return parts && fromBase64(parts->first).has_value();
}

bool isTiktokenFolder(const fs::path& folder) {
  std::error_code code;
  return fs::is_regular_file(folder / "tokenizer.model", code) && isTiktokenFile(folder / "tokenizer.model");
}

Result<std::unique_ptr<Tokenizer>> loadTiktoken(const fs::path& path) {
  std::error_code code;
  const fs::path file = fs::is_directory(path, code) ? path / "tokenizer.model" : path;
  Result<std::string> bytes = readFileBounded(file, kMaxBytes);
  if (!bytes) return bytes.error();
  Result<TokenizerConfig> config = TokenizerConfig::read(file.parent_path());
  if (!config) return config.error();
  Result<Vocabulary> vocabulary = readRanks(*bytes, file.string());
  if (!vocabulary) return vocabulary.error();
  if (vocabulary->size() != static_cast<size_t>(kLlama3Ranks) || vocabulary->end() != kLlama3Ranks)
    return Error{ErrorCode::BadInput, "ranks are of a tokenizer that this program does not know", file.string(),
                 fmt::format("{} tokens", vocabulary->size()), fmt::format("Llama 3's {} tokens", kLlama3Ranks),
                 "Fetch the model's tokenizer.json, which says how text is split."};

  PipelineParts parts;
  const std::vector<BpeMerge> merges = mergesOf(*vocabulary);
  BpeOptions options;
  options.ignoreMerges = true;
  parts.model = std::make_unique<BpeModel>(std::move(*vocabulary), merges, options);
  const nlohmann::json split = {{"type", "Split"}, {"pattern", {{"Regex", kLlama3Words}}}, {"behavior", "Isolated"}};
  const nlohmann::json byteLevel = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  parts.preTokenizer = builtInPreTokenizer({{"type", "Sequence"}, {"pretokenizers", {split, byteLevel}}});
  parts.decoder = builtInDecoder({{"type", "ByteLevel"}});
  if (config->added.empty()) {
    int32_t id = kLlama3Ranks;
    for (const std::string& name : llama3Specials()) parts.added.push_back({name, id++, true, false, false, false, false});
  }
  const UsualSpecials usual{{"<|begin_of_text|>"}, {"<|end_of_text|>"}, {}, {"<|finetune_right_pad_id|>"}, {}, {}, {}};
  const int32_t bos = config->flag("add_bos_token", true) ? specialId(parts, *config, "bos_token", usual.bos) : -1;
  const int32_t eos = config->flag("add_eos_token", false) ? specialId(parts, *config, "eos_token", usual.eos) : -1;
  parts.postProcessor.tokens = TokenTemplate::around(bos, eos);
  return makePipeline(std::move(parts), *config, usual, *bytes);
}

}  // namespace rankscope

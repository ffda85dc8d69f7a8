#include "core/text/byte_bpe.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/text_shown.h"
#include "core/text/bpe_model.h"
#include "core/text/byte_level.h"
#include "core/text/pipeline.h"
#include "core/text/word_patterns.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxBytes = 64u << 20;

enum class Family { Gpt2, Roberta, Qwen2 };

// Classes whose slow tokenizers read these two files.
constexpr struct {
  const char* name;  // beginning of tokenizer_class, and model_type
  Family family;
} kFamilies[] = {{"gpt2", Family::Gpt2},        {"codegen", Family::Gpt2},   {"phi", Family::Gpt2},  {"gpt_neo", Family::Gpt2}, {"gptneo", Family::Gpt2},
                 {"gptj", Family::Gpt2},        {"opt", Family::Gpt2},       {"roberta", Family::Roberta}, {"bart", Family::Roberta},
                 {"longformer", Family::Roberta}, {"led", Family::Roberta}, {"qwen2", Family::Qwen2}, {"qwen3", Family::Qwen2}};

fs::path mergesFile(const fs::path& folder) {
  std::error_code code;
  for (const char* name : {"merges.txt", "vocab.bpe"})
    if (fs::is_regular_file(folder / name, code)) return folder / name;
  return {};
}

// By the tokenizer's class, the model's type, or else the vocabulary.
Result<Family> familyOf(const TokenizerConfig& config, const Vocabulary& vocabulary, const fs::path& folder) {
  std::string name = config.tokenizerClass;
  std::error_code code;
  if (name.empty() && fs::is_regular_file(folder / "config.json", code)) {
    const Result<nlohmann::json> model = readJsonFile(folder / "config.json");
    if (model && model->is_object() && model->contains("model_type") && (*model)["model_type"].is_string())
      name = (*model)["model_type"].get<std::string>();
  }
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (name.empty()) return vocabulary.find("<s>") >= 0 && vocabulary.find("</s>") >= 0 ? Family::Roberta : Family::Gpt2;
  std::string known;
  for (const auto& entry : kFamilies) {
    if (name.starts_with(entry.name)) return entry.family;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  return Error{ErrorCode::BadInput, "vocab.json and merges.txt are of a tokenizer that this program does not know", folder.string(),
               shown(name), known, "Fetch the model's tokenizer.json, which says how it works."};
}

Result<std::vector<std::pair<std::string, std::string>>> readMerges(std::string_view text, const std::string& where) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (size_t line = 1; !text.empty(); ++line) {
    const size_t end = text.find('\n');
    std::string_view row = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (row.ends_with('\r')) row.remove_suffix(1);
    if (row.empty() || row.starts_with("#version")) continue;
    const size_t space = row.find(' ');
    if (space == std::string_view::npos || row.find(' ', space + 1) != std::string_view::npos || !isValidUtf8(row))
      return Error{ErrorCode::BadInput, "merges of the tokenizer cannot be read", fmt::format("{}:{}", where, line), shown(row),
                   "two pieces and a blank between them", kTokenizerHint};
    merges.emplace_back(row.substr(0, space), row.substr(space + 1));
  }
  return merges;
}

}  // namespace

bool isByteBpeFolder(const fs::path& folder) {
  std::error_code code;
  return fs::is_regular_file(folder / "vocab.json", code) && !mergesFile(folder).empty();
}

Result<std::unique_ptr<Tokenizer>> loadByteBpe(const fs::path& path) {
  std::error_code code;
  const fs::path folder = fs::is_directory(path, code) ? path : path.parent_path();
  const fs::path vocabFile = folder / "vocab.json", mergeFile = mergesFile(folder);
  if (mergeFile.empty())
    return Error{ErrorCode::BadInput, "vocab.json has no merges beside it", folder.string(), "", "merges.txt or vocab.bpe", kTokenizerHint};
  const Result<std::string> vocabBytes = readFileBounded(vocabFile, kMaxBytes), mergeBytes = readFileBounded(mergeFile, kMaxBytes);
  if (!vocabBytes) return vocabBytes.error();
  if (!mergeBytes) return mergeBytes.error();
  Result<TokenizerConfig> config = TokenizerConfig::read(folder);
  if (!config) return config.error();
  Result<nlohmann::json> json = parseJson(*vocabBytes, vocabFile.string());
  if (!json) return json.error();
  Vocabulary vocabulary;
  if (Result<void> read = readVocabularyObject(*json, vocabFile.string(), vocabulary); !read) return read.error();
  Result<std::vector<std::pair<std::string, std::string>>> names = readMerges(*mergeBytes, mergeFile.string());
  if (!names) return names.error();
  Result<std::vector<BpeMerge>> merges = mergesByName(*names, vocabulary, "", mergeFile.string());
  if (!merges) return merges.error();
  const Result<Family> family = familyOf(*config, vocabulary, folder);
  if (!family) return family.error();

  PipelineParts parts;
  parts.model = std::make_unique<BpeModel>(std::move(vocabulary), *merges, BpeOptions{});
  parts.decoder = builtInDecoder({{"type", "ByteLevel"}});
  const bool prefixSpace = config->flag("add_prefix_space", false);
  const nlohmann::json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", prefixSpace}, {"use_regex", *family != Family::Qwen2}};
  UsualSpecials usual{{"<|endoftext|>"}, {"<|endoftext|>"}, {"<|endoftext|>"}, {}, {}, {}, {}};
  if (*family == Family::Qwen2) {
    parts.normalizer = builtInNormalizer({{"type", "NFC"}});
    const nlohmann::json split = {{"type", "Split"}, {"pattern", {{"Regex", kQwenWords}}}, {"behavior", "Isolated"}};
    parts.preTokenizer = builtInPreTokenizer({{"type", "Sequence"}, {"pretokenizers", {split, bytes}}});
    usual = {{}, {"<|endoftext|>"}, {}, {"<|endoftext|>"}, {}, {}, {}};
  } else {
    parts.preTokenizer = builtInPreTokenizer(bytes);
  }
  if (*family == Family::Roberta) {
    usual = {{"<s>"}, {"</s>"}, {"<unk>"}, {"<pad>"}, {"<s>"}, {"</s>"}, {"<mask>"}};
    const int32_t cls = specialId(parts, *config, "cls_token", usual.cls), sep = specialId(parts, *config, "sep_token", usual.sep);
    if (cls < 0 || sep < 0)
      return Error{ErrorCode::BadInput, "vocabulary lacks a special token", vocabFile.string(), "", "<s> and </s>",
                   "Check that tokenizer_config.json names the tokenizer's special tokens."};
    parts.postProcessor.tokens = TokenTemplate::roberta(cls, sep);
    parts.postProcessor.trimSpans = config->flag("trim_offsets", true);
    // The mask takes the space before it along.
    if (const int32_t mask = specialId(parts, *config, "mask_token", usual.mask); mask >= 0)
      parts.added.push_back({std::string(parts.model->vocabulary().piece(mask)), mask, true, true, false, false, false});
  } else if (config->flag("add_bos_token", false)) {
    parts.postProcessor.tokens = TokenTemplate::around(specialId(parts, *config, "bos_token", usual.bos), -1);
  }
  parts.postProcessor.prefixSpace = prefixSpace;
  return makePipeline(std::move(parts), *config, usual, *vocabBytes + '\0' + *mergeBytes);
}

}  // namespace rankscope

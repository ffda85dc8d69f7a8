#include "core/text/tokenizer_json.h"

#include <algorithm>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/text_shown.h"
#include "core/text/pipeline.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxJsonBytes = 128u << 20;
constexpr size_t kMaxJsonValues = 12'000'000;
constexpr size_t kMaxAdded = 1'000'000;

// Settings that transformers' classes put over what the file says.
void overrideNormalizer(nlohmann::json& normalizer, const TokenizerConfig& config) {
  if (!normalizer.is_object() || normalizer.value("type", nlohmann::json()) != "BertNormalizer") return;
  for (const auto& [key, name] : {std::pair{"do_lower_case", "lowercase"}, std::pair{"tokenize_chinese_chars", "handle_chinese_chars"},
                                  std::pair{"strip_accents", "strip_accents"}})
    if (const auto value = config.json.find(key); value != config.json.end() && value->is_boolean()) normalizer[name] = *value;
}

void overridePreTokenizer(nlohmann::json& preTokenizer, const TokenizerConfig& config) {
  const auto value = config.json.find("add_prefix_space");
  if (value == config.json.end() || !value->is_boolean()) return;
  static constexpr const char* kClasses[] = {"GPT2", "Roberta", "Bart", "LED", "Longformer", "Deberta", "GPTNeoX", "CodeGen", "Bloom"};
  const bool applies = std::any_of(std::begin(kClasses), std::end(kClasses), [&](const char* name) { return config.tokenizerClass.starts_with(name); });
  if (applies && preTokenizer.is_object() && preTokenizer.value("type", nlohmann::json()) == "ByteLevel")
    preTokenizer["add_prefix_space"] = *value;
}

Result<void> readAdded(const nlohmann::json& list, const std::string& where, std::vector<AddedToken>& out) {
  const auto bad = [&](const nlohmann::json& entry) {
    return Error{ErrorCode::BadInput, "added token has no usable content or id", where, describeJson(entry), "content and id of each", kTokenizerHint};
  };
  if (!list.is_array() || list.size() > kMaxAdded) return bad(list);
  for (const nlohmann::json& entry : list) {
    ComponentSettings settings(entry, where);
    AddedToken token;
    token.content = settings.text("content");
    token.special = settings.flag("special", false);
    token.lstrip = settings.flag("lstrip", false);
    token.rstrip = settings.flag("rstrip", false);
    token.singleWord = settings.flag("single_word", false);
    token.normalized = settings.flag("normalized", !token.special);
    const nlohmann::json* id = settings.find("id");
    if (!id || !id->is_number_unsigned() || id->get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId) || token.content.size() > kMaxPieceBytes)
      return bad(entry);
    token.id = id->get<int32_t>();
    if (Result<void> done = settings.done(); !done) return done;
    out.push_back(std::move(token));
  }
  return {};
}

}  // namespace

bool isTokenizerJsonFolder(const fs::path& folder) {
  std::error_code code;
  return fs::is_regular_file(folder / "tokenizer.json", code);
}

Result<std::unique_ptr<Tokenizer>> loadTokenizerJson(const fs::path& path) {
  std::error_code code;
  const fs::path file = fs::is_directory(path, code) ? path / "tokenizer.json" : path;
  Result<std::string> bytes = readFileBounded(file, kMaxJsonBytes);
  if (!bytes) return bytes.error();
  Result<TokenizerConfig> config = TokenizerConfig::read(file.parent_path());
  if (!config) return config.error();
  JsonLimits limits;
  limits.maxBytes = kMaxJsonBytes;
  limits.maxValues = kMaxJsonValues;
  Result<nlohmann::json> document = parseJson(*bytes, file.string(), limits);
  if (!document) return document.error();
  ComponentSettings settings(*document, file.string());
  // Lengths and padding are decided by what is trained, not by the file.
  settings.ignore({"version", "truncation", "padding"});
  const auto where = [&](const char* part) { return file.string() + ": " + part; };

  PipelineParts parts;
  if (const nlohmann::json* json = settings.find("normalizer")) {
    nlohmann::json copy = *json;
    overrideNormalizer(copy, *config);
    Result<std::unique_ptr<Normalizer>> made = makeNormalizer(copy, where("normalizer"));
    if (!made) return made.error();
    parts.normalizer = std::move(*made);
  }
  if (const nlohmann::json* json = settings.find("pre_tokenizer")) {
    nlohmann::json copy = *json;
    overridePreTokenizer(copy, *config);
    Result<std::unique_ptr<PreTokenizer>> made = makePreTokenizer(copy, where("pre_tokenizer"));
    if (!made) return made.error();
    parts.preTokenizer = std::move(*made);
  }
  if (const nlohmann::json* json = settings.find("post_processor")) {
    Result<PostProcessor> made = makePostProcessor(*json, where("post_processor"));
    if (!made) return made.error();
    parts.postProcessor = std::move(*made);
  }
  if (const nlohmann::json* json = settings.find("decoder")) {
    Result<std::unique_ptr<TokenDecoder>> made = makeTokenDecoder(*json, where("decoder"));
    if (!made) return made.error();
    parts.decoder = std::move(*made);
  }
  if (const nlohmann::json* json = settings.find("added_tokens"))
    if (Result<void> done = readAdded(*json, where("added_tokens"), parts.added); !done) return done.error();
  const nlohmann::json* model = settings.find("model");
  if (!model) return ComponentSettings(*document, file.string()).unknownType("model", "BPE, WordPiece, Unigram, WordLevel");
  if (Result<void> done = settings.done(); !done) return done.error();
  Result<std::unique_ptr<SubwordModel>> made = makeSubwordModel(*model, where("model"));
  if (!made) return made.error();
  parts.model = std::move(*made);

  const bool words = parts.model->kind() == "wordpiece";
  parts.cleanUp = parts.model->kind() != "bpe" && config->flag("clean_up_tokenization_spaces", words);
  // Names in the order in which models use them; a file of its own says which exist.
  UsualSpecials usual;
  if (config->json.empty()) {
    usual = {{"<s>", "<|begin_of_text|>", "<bos>", "<|endoftext|>"}, {"</s>", "<|end_of_text|>", "<eos>", "<|endoftext|>"},
             {"<unk>", "[UNK]"}, {"<pad>", "[PAD]", "<|pad|>"}, {"[CLS]"}, {"[SEP]"}, {"<mask>", "[MASK]"}};
  } else if (words) {
    usual = {{}, {}, {"[UNK]"}, {"[PAD]"}, {"[CLS]"}, {"[SEP]"}, {"[MASK]"}};
  }
  return makePipeline(std::move(parts), *config, usual, *bytes);
}

}  // namespace rankscope

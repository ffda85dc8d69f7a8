#include "core/text/wordpiece.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "core/config/files.h"
#include "core/io/json.h"
#include "core/io/sha256.h"
#include "core/io/text_shown.h"
#include "core/text/tokenizer_files.h"
#include "core/text/wordpiece_text.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxVocabBytes = 64u << 20;
constexpr size_t kMaxWordPieceId = 4'000'000;

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

class WordPieceTokenizer : public Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> load(const fs::path& file);

  std::string idToPiece(int32_t id) const override {
    if (id < 0 || id >= m_vocabSize) return {};
    for (const AddedToken& token : m_added)
      if (token.id == id) return token.content;
    return static_cast<size_t>(id) < m_pieces.size() ? m_pieces[static_cast<size_t>(id)] : std::string();
  }
  int32_t pieceToId(std::string_view piece) const override {
    for (const AddedToken& token : m_added)
      if (token.content == piece) return token.id;
    const auto found = m_ids.find(piece);
    return found == m_ids.end() ? -1 : found->second;
  }

 protected:
  void tokenize(std::string_view text, size_t offset, Before before, Encoding& out) const override;
  bool cutsAt(std::string_view text, size_t at) const override {
    return text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r';
  }
  std::string decodePlain(std::span<const int32_t> ids) const override;

 private:
  Result<void> readVocabulary(std::string_view text, const fs::path& file);
  Result<void> readJson(const nlohmann::json& document, const fs::path& file);
  Result<void> arrange(const TokenizerConfig& config, const fs::path& file);

  std::vector<std::string> m_pieces;  // by id
  std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>> m_ids;
  std::string m_continuation = "##";
  size_t m_longestPiece = 0;
  size_t m_maxCharacters = 100;
  BertTextOptions m_text;
  std::optional<bool> m_stripAccents;  // unset: as lowerCase
};

void WordPieceTokenizer::tokenize(std::string_view text, size_t offset, Before, Encoding& out) const {
  std::string candidate;
  forEachBertWord(text, offset, m_text, [&](const BertWord& word) {
    const size_t count = word.starts.size();
    const size_t start = out.ids.size();
    const auto unknown = [&] {
      out.ids.resize(start);
      out.spans.resize(start);
      out.ids.push_back(m_special.unk);
      out.spans.push_back({word.spans.front().begin, word.spans.back().end});
    };
    if (count > m_maxCharacters) return unknown();
    const auto byteAt = [&](size_t character) { return character == count ? word.text.size() : word.starts[character]; };
    for (size_t from = 0; from < count;) {
      size_t to = count;
      int32_t id = -1;
      for (; to > from; --to) {
        const size_t bytes = byteAt(to) - byteAt(from);
        if (bytes > m_longestPiece) continue;
        candidate.assign(from > 0 ? m_continuation : std::string());
        candidate.append(word.text, byteAt(from), bytes);
        const auto found = m_ids.find(candidate);
        if (found == m_ids.end()) continue;
        id = found->second;
        break;
      }
      if (id < 0) return unknown();
      out.ids.push_back(id);
      out.spans.push_back({word.spans[from].begin, word.spans[to - 1].end});
      from = to;
    }
  });
}

std::string WordPieceTokenizer::decodePlain(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) {
    const std::string piece = idToPiece(id);
    if (!text.empty() && piece.starts_with(m_continuation)) {
      text += piece.substr(m_continuation.size());
    } else {
      if (!text.empty()) text += ' ';
      text += piece;
    }
  }
  // The clean-up that transformers applies after joining words by spaces.
  for (const auto& [from, to] : {std::pair{" .", "."}, std::pair{" ?", "?"}, std::pair{" !", "!"}, std::pair{" ,", ","},
                                 std::pair{" ' ", "'"}, std::pair{" n't", "n't"}, std::pair{" 'm", "'m"},
                                 std::pair{" 's", "'s"}, std::pair{" 've", "'ve"}, std::pair{" 're", "'re"}}) {
    const std::string_view what(from), with(to);
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
      text.replace(at, what.size(), with);
  }
  return text;
}

Result<void> WordPieceTokenizer::readVocabulary(std::string_view text, const fs::path& file) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (m_pieces.size() >= kMaxWordPieceId || !isValidUtf8(line))
      return Error{ErrorCode::BadInput, "vocabulary cannot be used", fmt::format("{}:{}", file.string(), m_pieces.size() + 1),
                   isValidUtf8(line) ? "too many lines" : "a line that is not UTF-8",
                   fmt::format("one piece a line, at most {}", kMaxWordPieceId), "Fetch vocab.txt again."};
    m_ids[std::string(line)] = static_cast<int32_t>(m_pieces.size());
    m_pieces.emplace_back(line);
  }
  return {};
}

Result<void> WordPieceTokenizer::readJson(const nlohmann::json& document, const fs::path& file) {
  const auto bad = [&](const char* what) {
    return Error{ErrorCode::BadInput, "tokenizer.json is not a WordPiece tokenizer this program can use", file.string(), what,
                 "model.type WordPiece with BertNormalizer", "Choose a model with a BERT tokenizer, or fetch vocab.txt."};
  };
  if (!document.is_object()) return bad("no object");
  const auto model = document.find("model");
  if (model == document.end() || !model->is_object()) return bad("no model");
  const auto vocab = model->find("vocab");
  if (model->value("type", nlohmann::json()) != "WordPiece" || vocab == model->end() || !vocab->is_object())
    return bad("another type of model");
  for (const auto& [piece, id] : vocab->items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMaxWordPieceId) return bad("an id that is no id");
    const size_t index = id.get<size_t>();
    if (index >= m_pieces.size()) m_pieces.resize(index + 1);
    m_pieces[index] = piece;
    m_ids[piece] = static_cast<int32_t>(index);
  }
  if (const auto prefix = model->find("continuing_subword_prefix"); prefix != model->end() && prefix->is_string())
    m_continuation = prefix->get<std::string>();
  if (const auto most = model->find("max_input_chars_per_word"); most != model->end() && most->is_number_unsigned())
    m_maxCharacters = std::min<size_t>(most->get<size_t>(), 10000);
  if (const auto normalizer = document.find("normalizer"); normalizer != document.end() && normalizer->is_object()) {
    if (normalizer->value("type", nlohmann::json()) != "BertNormalizer") return bad("another normalizer");
    const auto flag = [&](const char* key, bool fallback) {
      const auto found = normalizer->find(key);
      return found != normalizer->end() && found->is_boolean() ? found->get<bool>() : fallback;
    };
    m_text.cleanText = flag("clean_text", true);
    m_text.chineseCharacters = flag("handle_chinese_chars", true);
    m_text.lowerCase = flag("lowercase", true);
    if (const auto strip = normalizer->find("strip_accents"); strip != normalizer->end() && strip->is_boolean())
      m_stripAccents = strip->get<bool>();
  }
  if (const auto added = document.find("added_tokens"); added != document.end() && added->is_array())
    for (const nlohmann::json& entry : *added) {
      const auto content = entry.is_object() ? entry.find("content") : entry.end();
      if (!entry.is_object() || content == entry.end() || !content->is_string() || !entry.contains("id") ||
          !entry["id"].is_number_unsigned() || entry["id"].get<uint64_t>() >= kMaxWordPieceId)
        return bad("an added token without content or id");
      const auto flag = [&](const char* key) {
        const auto found = entry.find(key);
        return found != entry.end() && found->is_boolean() && found->get<bool>();
      };
      addToken({content->get<std::string>(), entry["id"].get<int32_t>(), flag("special"), flag("lstrip"), flag("rstrip"),
                flag("single_word")});
    }
  return {};
}

Result<void> WordPieceTokenizer::arrange(const TokenizerConfig& config, const fs::path& file) {
  m_text.lowerCase = config.flag("do_lower_case", m_text.lowerCase);
  m_text.chineseCharacters = config.flag("tokenize_chinese_chars", m_text.chineseCharacters);
  if (const auto strip = config.json.find("strip_accents"); strip != config.json.end() && strip->is_boolean())
    m_stripAccents = strip->get<bool>();
  m_text.stripAccents = m_stripAccents.value_or(m_text.lowerCase);

  for (const TokenizerConfig::Added& added : config.added)
    addToken({added.content, added.id, added.special, added.lstrip, added.rstrip, added.singleWord});
  const auto special = [&](const char* key, const char* usual) -> int32_t {
    const std::string text = config.token(key).value_or(usual);
    const int32_t id = pieceToId(text);
    if (id >= 0 && !isSpecial(id)) addToken({text, id, true, false, false, false});
    return id;
  };
  m_special.unk = special("unk_token", "[UNK]");
  m_special.cls = special("cls_token", "[CLS]");
  m_special.sep = special("sep_token", "[SEP]");
  m_special.pad = special("pad_token", "[PAD]");
  m_special.mask = special("mask_token", "[MASK]");
  if (m_special.unk < 0 || m_special.cls < 0 || m_special.sep < 0)
    return Error{ErrorCode::BadInput, "vocabulary lacks a special token", file.string(),
                 m_special.unk < 0 ? "no [UNK]" : m_special.cls < 0 ? "no [CLS]" : "no [SEP]", "[UNK], [CLS] and [SEP]",
                 "Check that this is a BERT vocabulary, and that tokenizer_config.json names its special tokens."};
  m_prefix = {m_special.cls};
  m_suffix = m_pairMiddle = m_pairSuffix = {m_special.sep};
  m_pairMiddleOfFirst = 1;
  m_hasTypes = true;
  for (const std::string& piece : m_pieces) m_longestPiece = std::max(m_longestPiece, piece.size());
  return {};
}

Result<std::unique_ptr<Tokenizer>> WordPieceTokenizer::load(const fs::path& file) {
  Result<std::string> bytes = readFileBounded(file, kMaxVocabBytes);
  if (!bytes) return bytes.error();
  Result<TokenizerConfig> config = TokenizerConfig::read(file.parent_path());
  if (!config) return config.error();
  std::unique_ptr<WordPieceTokenizer> tokenizer(new WordPieceTokenizer);
  tokenizer->m_kind = "wordpiece";
  if (file.extension() == ".json") {
    JsonLimits limits;
    limits.maxBytes = kMaxVocabBytes;
    Result<nlohmann::json> document = parseBoundedJson(*bytes, file.string(), limits);
    if (!document) return document.error();
    if (Result<void> done = tokenizer->readJson(*document, file); !done) return done.error();
  } else if (Result<void> done = tokenizer->readVocabulary(*bytes, file); !done) {
    return done.error();
  }
  tokenizer->m_vocabSize = std::max<int64_t>(tokenizer->m_vocabSize, static_cast<int64_t>(tokenizer->m_pieces.size()));
  if (Result<void> done = tokenizer->arrange(*config, file); !done) return done.error();
  Sha256 hash;
  hash.updateField("wordpiece 1");
  hash.updateField(*bytes);
  hash.updateField(config->bytes);
  tokenizer->m_contentHash = hash.hex();
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

// "WordPiece", "BPE", … of a tokenizer.json; "" when that cannot be told.
std::string jsonModelType(const fs::path& file) {
  Result<std::string> bytes = readFileBounded(file, kMaxVocabBytes);
  // Most files are large and of another kind: look before parsing.
  if (!bytes || bytes->find("\"WordPiece\"") == std::string::npos) return {};
  JsonLimits limits;
  limits.maxBytes = kMaxVocabBytes;
  Result<nlohmann::json> document = parseBoundedJson(*bytes, file.string(), limits);
  if (!document || !document->is_object()) return {};
  const auto model = document->find("model");
  if (model == document->end() || !model->is_object()) return {};
  const auto type = model->find("type");
  return type != model->end() && type->is_string() ? type->get<std::string>() : std::string();
}

}  // namespace

bool isWordPieceFolder(const fs::path& folder) {
  std::error_code code;
  if (fs::is_regular_file(folder / "vocab.txt", code)) return true;
  return fs::is_regular_file(folder / "tokenizer.json", code) && jsonModelType(folder / "tokenizer.json") == "WordPiece";
}

Result<std::unique_ptr<Tokenizer>> loadWordPiece(const fs::path& path) {
  std::error_code code;
  if (!fs::is_directory(path, code)) return WordPieceTokenizer::load(path);
  return WordPieceTokenizer::load(fs::is_regular_file(path / "vocab.txt", code) ? path / "vocab.txt"
                                                                                : path / "tokenizer.json");
}

}  // namespace rankscope

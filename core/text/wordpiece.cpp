#include "core/text/wordpiece.h"

#include <fmt/format.h>

#include "core/config/files.h"
#include "core/config/text_shown.h"
#include "core/text/pipeline.h"
#include "core/text/wordpiece_model.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxVocabBytes = 64u << 20;
constexpr size_t kMaxPieces = 4'000'000;

Result<Vocabulary> readPieces(std::string_view text, const std::string& where) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (lines.size() >= kMaxPieces || line.size() > kMaxPieceBytes || !isValidUtf8(line))
      return Error{ErrorCode::BadInput, "vocabulary cannot be used", fmt::format("{}:{}", where, lines.size() + 1),
                   isValidUtf8(line) ? "too much" : "a line that is not UTF-8",
                   fmt::format("one piece a line, at most {}", kMaxPieces), "Fetch vocab.txt again."};
    lines.push_back(line);
  }
  // From the end, because a piece that comes twice has its last id.
  Vocabulary vocabulary;
  for (size_t i = lines.size(); i-- > 0;) vocabulary.add(lines[i], static_cast<int32_t>(i));
  return vocabulary;
}

}  // namespace

bool isWordPieceFolder(const fs::path& folder) {
  std::error_code code;
  return fs::is_regular_file(folder / "vocab.txt", code);
}

Result<std::unique_ptr<Tokenizer>> loadWordPiece(const fs::path& path) {
  std::error_code code;
  const fs::path file = fs::is_directory(path, code) ? path / "vocab.txt" : path;
  Result<std::string> bytes = readFileBounded(file, kMaxVocabBytes);
  if (!bytes) return bytes.error();
  Result<TokenizerConfig> config = TokenizerConfig::read(file.parent_path());
  if (!config) return config.error();
  Result<Vocabulary> vocabulary = readPieces(*bytes, file.string());
  if (!vocabulary) return vocabulary.error();

  const bool mpnet = config->tokenizerClass.starts_with("MPNet");
  const bool lower = config->flag("do_lower_case", true);
  PipelineParts parts;
  parts.normalizer = builtInNormalizer({{"type", "BertNormalizer"},
                                        {"clean_text", true},
                                        {"lowercase", lower},
                                        {"handle_chinese_chars", config->flag("tokenize_chinese_chars", true)},
                                        {"strip_accents", config->flag("strip_accents", lower)}});
  parts.preTokenizer = builtInPreTokenizer({{"type", "BertPreTokenizer"}});
  parts.decoder = builtInDecoder({{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", false}});
  parts.cleanUp = config->flag("clean_up_tokenization_spaces", true);
  const std::string unknown = config->token("unk_token").value_or("[UNK]");
  parts.model = std::make_unique<WordPieceModel>(std::move(*vocabulary), unknown, "##", 100);
  UsualSpecials usual{{}, {}, {"[UNK]"}, {"[PAD]"}, {"[CLS]"}, {"[SEP]"}, {"[MASK]"}};
  if (mpnet) usual = {{"<s>"}, {"</s>"}, {"[UNK]"}, {"<pad>"}, {"<s>"}, {"</s>"}, {"<mask>"}};
  const int32_t cls = specialId(parts, *config, "cls_token", usual.cls), sep = specialId(parts, *config, "sep_token", usual.sep);
  if (parts.model->unknown() < 0 || cls < 0 || sep < 0)
    return Error{ErrorCode::BadInput, "vocabulary lacks a special token", file.string(),
                 parts.model->unknown() < 0 ? "no " + shown(unknown) : cls < 0 ? "no token to begin with" : "no token to separate with",
                 "[UNK], [CLS] and [SEP]", "Check that this is a BERT vocabulary, and that tokenizer_config.json names its special tokens."};
  parts.postProcessor.tokens = mpnet ? TokenTemplate::roberta(cls, sep) : TokenTemplate::bert(cls, sep);
  // MPNet's mask takes the space before it along.
  if (const int32_t mask = specialId(parts, *config, "mask_token", usual.mask); mpnet && mask >= 0)
    parts.added.push_back({std::string(parts.model->vocabulary().piece(mask)), mask, true, true, false, false, false});
  return makePipeline(std::move(parts), *config, usual, *bytes);
}

}  // namespace rankscope

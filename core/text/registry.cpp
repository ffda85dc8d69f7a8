#include "core/text/registry.h"

#include <fmt/format.h>

#include "core/text/sentencepiece.h"
#include "core/text/wordpiece.h"

namespace rankscope {

namespace fs = std::filesystem;

const std::vector<TokenizerKind>& tokenizerKinds() {
  static const std::vector<TokenizerKind> kinds = {
      {"sentencepiece", "SentencePiece", "tokenizer.model", isSentencePieceFolder, loadSentencePiece},
      {"wordpiece", "WordPiece (BERT)", "vocab.txt or a WordPiece tokenizer.json", isWordPieceFolder, loadWordPiece},
  };
  return kinds;
}

Result<std::unique_ptr<Tokenizer>> loadTokenizer(const fs::path& folder) {
  std::error_code code;
  if (fs::is_regular_file(folder, code))
    return folder.extension() == ".model" ? loadSentencePiece(folder) : loadWordPiece(folder);
  if (!fs::is_directory(folder, code))
    return Error{ErrorCode::BadInput, "tokenizer's folder cannot be found", folder.string(), "", "", "Check the path."};
  std::string wanted;
  for (const TokenizerKind& kind : tokenizerKinds()) {
    if (kind.matches(folder)) return kind.load(folder);
    wanted += (wanted.empty() ? "" : ", ") + kind.files;
  }
  std::string found;
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt", "vocab.bpe"})
    if (fs::exists(folder / name, code)) found += (found.empty() ? "" : ", ") + std::string(name);
  return Error{ErrorCode::BadInput, "no tokenizer of a known kind in the folder", folder.string(), found, wanted,
               found.empty() ? "Fetch the model's tokenizer files into its folder."
                             : "These files are of another kind of tokenizer: choose a model with one of the known kinds."};
}

std::string detectTokenizer(const fs::path& folder) {
  for (const TokenizerKind& kind : tokenizerKinds())
    if (kind.matches(folder)) return kind.name;
  return {};
}

Result<void> checkTokenizerFits(const Tokenizer& tokenizer, int64_t modelVocabSize) {
  if (tokenizer.vocabSize() <= modelVocabSize) return {};
  return Error{ErrorCode::BadInput, "tokenizer has ids that the model has no embedding for", "vocab_size",
               fmt::format("{} ids in the tokenizer, {} rows in the model", tokenizer.vocabSize(), modelVocabSize),
               "no more ids than rows", "Use the tokenizer that belongs to this model."};
}

std::vector<fs::path> tokenizerFiles(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code code;
  for (const char* name : {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model", "vocab.txt",
                           "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                           "vocab.json", "merges.txt", "chat_template.jinja"})
    if (fs::is_regular_file(folder / name, code)) files.push_back(folder / name);
  return files;
}

}  // namespace rankscope

#include "core/text/registry.h"

#include <fmt/format.h>

#include "core/text/byte_bpe.h"
#include "core/text/gguf_tokenizer.h"
#include "core/text/sentencepiece.h"
#include "core/text/tiktoken.h"
#include "core/text/tokenizer_json.h"
#include "core/text/wordpiece.h"

namespace rankscope {

namespace fs = std::filesystem;

const std::vector<TokenizerKind>& tokenizerKinds() {
  static const std::vector<TokenizerKind> kinds = {
      // The first that matches counts: tokenizer.json says most, and transformers prefers it too.
      {"tokenizer.json", "tokenizer.json", "tokenizer.json", isTokenizerJsonFolder, loadTokenizerJson},
      {"tiktoken", "tiktoken ranks (Llama 3)", "tokenizer.model with ranks", isTiktokenFolder, loadTiktoken},
      {"sentencepiece", "SentencePiece", "tokenizer.model", isSentencePieceFolder, loadSentencePiece},
      {"wordpiece", "WordPiece (BERT)", "vocab.txt", isWordPieceFolder, loadWordPiece},
      {"byte-level BPE", "byte-level BPE (GPT-2, RoBERTa)", "vocab.json with merges.txt", isByteBpeFolder, loadByteBpe},
      {"GGUF", "GGUF's own", "a GGUF file", isGgufTokenizerFolder, loadGgufTokenizer},
  };
  return kinds;
}

Result<std::unique_ptr<Tokenizer>> loadTokenizer(const fs::path& folder) {
  std::error_code code;
  if (fs::is_regular_file(folder, code)) {
    if (folder.filename() == "vocab.json") return loadByteBpe(folder);
    if (folder.extension() == ".gguf") return loadGgufTokenizer(folder);
    if (folder.extension() == ".json") return loadTokenizerJson(folder);
    if (folder.extension() == ".model") return isTiktokenFile(folder) ? loadTiktoken(folder) : loadSentencePiece(folder);
    return loadWordPiece(folder);
  }
  if (!fs::is_directory(folder, code))
    return Error{ErrorCode::BadInput, "tokenizer's folder cannot be found", folder.string(), "", "", "Check the path."};
  std::string wanted;
  for (const TokenizerKind& kind : tokenizerKinds()) {
    if (kind.matches(folder)) return kind.load(folder);
    wanted += (wanted.empty() ? "" : ", ") + kind.files;
  }
  return Error{ErrorCode::BadInput, "no tokenizer of a known kind in the folder", folder.string(), "", wanted,
               "Fetch the model's tokenizer files into its folder."};
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
                           "vocab.json", "merges.txt", "vocab.bpe", "chat_template.jinja"})
    if (fs::is_regular_file(folder / name, code)) files.push_back(folder / name);
  return files;
}

}  // namespace rankscope

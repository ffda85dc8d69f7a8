#pragma once
// Tokenizers by the files of a model folder. To add one: write core/text/<kind>.{h,cpp} and name it in registry.cpp.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/text/tokenizer.h"

namespace rankscope {

struct TokenizerKind {
  std::string name;   // "sentencepiece"
  std::string title;  // "SentencePiece (LLaMA)"
  std::string files;  // "tokenizer.model": for error messages
  // Whether the folder's files are of this kind; looks at names and at small JSON files only.
  bool (*matches)(const std::filesystem::path& folder);
  Result<std::unique_ptr<Tokenizer>> (*load)(const std::filesystem::path& folder);
};
const std::vector<TokenizerKind>& tokenizerKinds();

// By the folder's files (a path to tokenizer.model or vocab.txt itself will do); the error says which files were looked
// for.
Result<std::unique_ptr<Tokenizer>> loadTokenizer(const std::filesystem::path& folder);
// The kind's name without loading, "" when there is none: for pickers.
std::string detectTokenizer(const std::filesystem::path& folder);
// Every id the tokenizer can give must have a row in the model's embedding.
Result<void> checkTokenizerFits(const Tokenizer& tokenizer, int64_t modelVocabSize);
// Files that belong to the tokenizer and go along when a model is saved or exported (those that exist).
std::vector<std::filesystem::path> tokenizerFiles(const std::filesystem::path& folder);

}  // namespace rankscope

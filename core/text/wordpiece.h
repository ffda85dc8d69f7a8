#pragma once
// BERT's WordPiece (Devlin et al. 2019; Wu et al. 2016): text is cleaned, optionally lower-cased and stripped of accents,
// split at white space and punctuation, and each word is cut greedily into the longest pieces of the vocabulary. Equal to
// the fast tokenizer of transformers (BertNormalizer, BertPreTokenizer, WordPiece).

#include <filesystem>
#include <memory>

#include "core/config/result.h"
#include "core/text/tokenizer.h"

namespace rankscope {

// vocab.txt, tokenizer.json of type WordPiece, or a folder with either (vocab.txt first).
Result<std::unique_ptr<Tokenizer>> loadWordPiece(const std::filesystem::path& path);
bool isWordPieceFolder(const std::filesystem::path& folder);

}  // namespace rankscope

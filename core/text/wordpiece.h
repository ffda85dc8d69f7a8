#pragma once
// BERT's and MPNet's tokenizer from vocab.txt; ids equal those of transformers' BertTokenizer.

#include <filesystem>
#include <memory>

#include "core/config/result.h"
#include "core/text/tokenizer.h"

namespace rankscope {

bool isWordPieceFolder(const std::filesystem::path& folder);
// vocab.txt, or a folder with it.
Result<std::unique_ptr<Tokenizer>> loadWordPiece(const std::filesystem::path& path);

}  // namespace rankscope

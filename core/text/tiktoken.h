#pragma once
// Ranks of tokens in tiktoken's text form (a token in base64, a blank, its rank: one a line), as Llama 3 brings them in
// tokenizer.model. The file says neither how text is split nor which special tokens there are: both are known for Llama
// 3's file by its number of ranks.

#include <filesystem>
#include <memory>

#include "core/config/result.h"
#include "core/text/tokenizer.h"

namespace rankscope {

bool isTiktokenFile(const std::filesystem::path& file);
bool isTiktokenFolder(const std::filesystem::path& folder);
Result<std::unique_ptr<Tokenizer>> loadTiktoken(const std::filesystem::path& path);

}  // namespace rankscope

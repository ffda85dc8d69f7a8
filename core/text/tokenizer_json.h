#pragma once
// tokenizer.json, the tokenizers library's own format: all five steps and the added tokens in one file.

#include <filesystem>
#include <memory>

#include "core/config/result.h"
#include "core/text/tokenizer.h"

namespace rankscope {

bool isTokenizerJsonFolder(const std::filesystem::path& folder);
// A folder, or the file itself; the folder's tokenizer_config.json and its like count as well.
Result<std::unique_ptr<Tokenizer>> loadTokenizerJson(const std::filesystem::path& path);

}  // namespace rankscope

#pragma once
// Byte-level BPE from GPT-2's own files, vocab.json and merges.txt: GPT-2, RoBERTa and its family, Qwen 2.

#include <filesystem>
#include <memory>

#include "core/config/result.h"
#include "core/text/tokenizer.h"

namespace rankscope {

bool isByteBpeFolder(const std::filesystem::path& folder);
// A folder with both files (merges may be called vocab.bpe), or the path of vocab.json in it.
Result<std::unique_ptr<Tokenizer>> loadByteBpe(const std::filesystem::path& path);

}  // namespace rankscope

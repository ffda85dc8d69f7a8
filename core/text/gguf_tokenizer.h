#pragma once
// The tokenizer that a GGUF file carries, for folders that hold nothing else: SentencePiece's BPE ("llama") from pieces and
// scores, byte-level BPE ("gpt2") from pieces and merges with the splitting that tokenizer.ggml.pre names.

#include <filesystem>
#include <memory>

#include "core/config/result.h"
#include "core/text/tokenizer.h"

namespace rankscope {

bool isGgufTokenizerFolder(const std::filesystem::path& folder);
// A GGUF file (of several parts the first), or the folder that holds it. Kinds and splittings that are not known are
// refused by name.
Result<std::unique_ptr<Tokenizer>> loadGgufTokenizer(const std::filesystem::path& path);

// The same tokenizer as files that other programs read, into `folder`: tokenizer.json and tokenizer_config.json with the
// file's chat template, and for SentencePiece's kind tokenizer.model too (llama.cpp's converter asks for it).
Result<void> writeGgufTokenizer(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace rankscope

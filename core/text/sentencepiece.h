#pragma once
// SentencePiece models (LLaMA and its like). Ids follow transformers: LlamaTokenizer's add_bos_token, add_eos_token and
// legacy flags for the LLaMA family, </s> at the end for T5, [CLS] … [SEP] where the model has these pieces.
// Reference: Kudo and Richardson, "SentencePiece" (2018); the segmentation itself is the sentencepiece library's.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/config/result.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"

namespace rankscope {

// A .model file, or a folder with tokenizer.model, spiece.model or sentencepiece.bpe.model.
Result<std::unique_ptr<Tokenizer>> loadSentencePiece(const std::filesystem::path& path);
// A model's bytes, with what a tokenizer_config.json says; `file` names them in errors.
Result<std::unique_ptr<Tokenizer>> sentencePieceFrom(const std::string& bytes, const TokenizerConfig& config,
                                                     const std::filesystem::path& file);
bool isSentencePieceFolder(const std::filesystem::path& folder);

struct SentencePieceFacts {
  bool changesText = false;  // the normaliser replaces characters,
  std::string charsMap;      // by this table
};
// The library trusts the normalisation table inside a model and reads through it without bounds; this walk over the
// file refuses tables that lead outside themselves, and anything that is not a sentencepiece model at all.
Result<SentencePieceFacts> checkSentencePieceModel(std::string_view bytes, const std::string& where);

}  // namespace rankscope

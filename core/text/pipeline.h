#pragma once
// A tokenizer made of the steps of the tokenizers library: normalizer, pre-tokenizer, model, post-processor, decoder. All
// kinds of files but sentencepiece's become one of these.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/text/normalizer.h"
#include "core/text/post_processor.h"
#include "core/text/pretokenizer.h"
#include "core/text/subword_model.h"
#include "core/text/token_decoder.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_files.h"

namespace rankscope {

struct PipelineParts {
  std::unique_ptr<Normalizer> normalizer;      // may be null
  std::unique_ptr<PreTokenizer> preTokenizer;  // may be null
  std::unique_ptr<SubwordModel> model;
  PostProcessor postProcessor;
  std::unique_ptr<TokenDecoder> decoder;  // null: pieces are joined by blanks
  std::vector<AddedToken> added;
  bool cleanUp = false;  // decoded text loses the spaces before punctuation
};

// Each of the four from JSON text written in this program; a mistake in it is a defect.
std::unique_ptr<Normalizer> builtInNormalizer(const nlohmann::json& json);
std::unique_ptr<PreTokenizer> builtInPreTokenizer(const nlohmann::json& json);
std::unique_ptr<TokenDecoder> builtInDecoder(const nlohmann::json& json);

// Names of special tokens where the folder's files do not give them; the first that exists counts.
struct UsualSpecials {
  std::vector<std::string> bos, eos, unk, pad, cls, sep, mask;
};

// Adds the folder's tokens and special names to the parts. `content` are the bytes that decide about ids.
std::unique_ptr<Tokenizer> makePipeline(PipelineParts parts, const TokenizerConfig& config, const UsualSpecials& usual,
                                        std::string_view content);

// The id that the folder's files name for "cls_token" and its like, -1 when there is none.
int32_t specialId(const PipelineParts& parts, const TokenizerConfig& config, const char* key, const std::vector<std::string>& usual);

}  // namespace rankscope

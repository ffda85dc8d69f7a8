#pragma once
// Last step of a tokenizer's pipeline, backwards: the pieces of ids into text. To add one: a function and a line in the
// table of token_decoder.cpp. Immutable, any thread.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

class TokenDecoder {
 public:
  virtual ~TokenDecoder() = default;
  virtual void apply(std::vector<std::string>& pieces) const = 0;
};

// From its part of tokenizer.json; an unknown one is an error that names it.
Result<std::unique_ptr<TokenDecoder>> makeTokenDecoder(const nlohmann::json& json, const std::string& where);

// The spaces before punctuation and contractions that transformers takes away after joining words.
std::string cleanedUp(std::string text);

}  // namespace rankscope

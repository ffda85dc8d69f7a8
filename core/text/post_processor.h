#pragma once
// Fourth step of a tokenizer's pipeline: the special tokens around texts, and whether spans leave out blanks. To add one: a
// function and a line in the table of post_processor.cpp. A value.

#include <nlohmann/json.hpp>
#include <string>

#include "core/config/result.h"
#include "core/text/tokenizer.h"

namespace rankscope {

struct PostProcessor {
  TokenTemplate tokens;
  bool trimSpans = false;    // blanks at the ends of byte-level tokens are left out of spans,
  bool prefixSpace = true;   // but for the one that was put before the first word
};

// From its part of tokenizer.json; an unknown one is an error that names it.
Result<PostProcessor> makePostProcessor(const nlohmann::json& json, const std::string& where);

}  // namespace rankscope

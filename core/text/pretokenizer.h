#pragma once
// Second step of a tokenizer's pipeline: splits the text into the pieces ("words") that the model sees one at a time. To
// add one: a class and a line in the table of pretokenizer.cpp. Immutable, any thread.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/text/normalizer.h"
#include "core/text/text_pattern.h"
#include "core/text/traced_text.h"

namespace rankscope {

// The text and the pieces of it, ascending and apart; what lies between pieces is left out. No piece is empty.
struct TextPieces {
  TracedText& text;
  std::vector<ByteRange> ranges;
  Before before;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(TextPieces& pieces) const = 0;
  virtual CutPlaces cuts() const { return {}; }
  // No piece goes across a blank that follows an ASCII letter or digit.
  virtual bool separatesWords() const { return false; }
};

// From its part of tokenizer.json; an unknown one is an error that names it.
Result<std::unique_ptr<PreTokenizer>> makePreTokenizer(const nlohmann::json& json, const std::string& where);

}  // namespace rankscope

#pragma once
// First step of a tokenizer's pipeline: changes of the text itself (Unicode forms, case, accents, white space). To add one:
// a class and a line in the table of normalizer.cpp. Immutable, any thread.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/config/result.h"
#include "core/text/tokenizer.h"
#include "core/text/traced_text.h"

namespace rankscope {

// Where a text may be cut so that its parts, treated alone, give what the whole gives. Before a blank or line feed that
// follows an ASCII letter or digit; before a line feed behind anything else than a line feed.
struct CutPlaces {
  bool words = true, lines = true;
  CutPlaces operator&(const CutPlaces& other) const { return {words && other.words, lines && other.lines}; }
};

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(TracedText& text, Before before) const = 0;
  virtual CutPlaces cuts() const { return {}; }
};

// From its part of tokenizer.json; an unknown one is an error that names it.
Result<std::unique_ptr<Normalizer>> makeNormalizer(const nlohmann::json& json, const std::string& where);

// The table of a "Precompiled" normalizer (sentencepiece's), already decoded from base64.
Result<std::unique_ptr<Normalizer>> makePrecompiledNormalizer(std::string table, const std::string& where);

}  // namespace rankscope

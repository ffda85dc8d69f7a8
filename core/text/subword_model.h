#pragma once
// Third step of a tokenizer's pipeline: a piece of text into ids of a vocabulary. To add a model: a class, and a line in
// the table of subword_model.cpp. Immutable, any thread.

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/result.h"
#include "core/text/component_settings.h"
#include "core/text/vocabulary.h"

namespace rankscope {

// An id and the bytes of the piece it stands for.
struct PieceToken {
  int32_t id;
  uint32_t begin, end;
};

class SubwordModel {
 public:
  virtual ~SubwordModel() = default;
  const std::string& kind() const { return m_kind; }  // "bpe", "unigram", "wordpiece", "wordlevel"
  const Vocabulary& vocabulary() const { return m_vocabulary; }
  int32_t unknown() const { return m_unknown; }  // -1 when there is none
  // Appends the tokens of a piece of well-formed text; time linear in its length but for a logarithm.
  virtual void encode(std::string_view piece, std::vector<PieceToken>& out) const = 0;
  // No token holds a line feed beside other characters.
  bool separatesLines() const;

 protected:
  SubwordModel() = default;
  std::string m_kind;
  Vocabulary m_vocabulary;
  int32_t m_unknown = -1;
};

// "model" of tokenizer.json; an unknown type is an error that names it.
Result<std::unique_ptr<SubwordModel>> makeSubwordModel(const nlohmann::json& json, const std::string& where);

// {"piece": id, …} into the vocabulary.
Result<void> readVocabularyObject(const nlohmann::json& json, const std::string& where, Vocabulary& out);
// Ids of <0x00> … <0xFF>; empty unless all are there.
std::vector<int32_t> bytePieces(const Vocabulary& vocabulary);

}  // namespace rankscope

#pragma once
// Unigram language model (Kudo 2018): of all ways to split a piece, the one with the largest sum of scores. Immutable, any
// thread.

#include "core/text/byte_trie.h"
#include "core/text/subword_model.h"

namespace rankscope {

class UnigramModel : public SubwordModel {
 public:
  // scores[id] of each piece; `unknown` -1 when there is none.
  UnigramModel(Vocabulary vocabulary, std::vector<double> scores, int32_t unknown, bool byteFallback);
  void encode(std::string_view piece, std::vector<PieceToken>& out) const override;

 private:
  ByteTrie m_trie;
  std::vector<double> m_scores;
  double m_unknownScore = 0;
  std::vector<int32_t> m_bytes;  // of byte fall-back, else empty
};

Result<std::unique_ptr<SubwordModel>> makeUnigramModel(ComponentSettings& settings);

}  // namespace rankscope

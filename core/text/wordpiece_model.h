#pragma once
// WordPiece (Schuster and Nakajima 2012; BERT): from the left, the longest piece of the vocabulary; a word of which some
// part has no piece is unknown as a whole. Immutable, any thread.

#include "core/text/byte_trie.h"
#include "core/text/subword_model.h"

namespace rankscope {

class WordPieceModel : public SubwordModel {
 public:
  // Words of more characters are unknown. Null without an unknown piece.
  WordPieceModel(Vocabulary vocabulary, const std::string& unknown, const std::string& continuation, size_t maxCharacters);
  void encode(std::string_view piece, std::vector<PieceToken>& out) const override;

 private:
  ByteTrie m_starts, m_continuations;
  size_t m_maxCharacters;
};

Result<std::unique_ptr<SubwordModel>> makeWordPieceModel(ComponentSettings& settings);

}  // namespace rankscope

#pragma once
// Text to token ids and back. A Tokenizer is immutable after loading and may be used from any number of threads at once.
// Encoding never fails: what a vocabulary cannot express becomes its unknown token. Ids equal those of Hugging Face
// transformers for the same folder.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

// Bytes [begin, end) of the text given to encode(); begin == end for tokens that stand for no text.
struct TextSpan {
  uint32_t begin = 0, end = 0;
  friend bool operator==(const TextSpan&, const TextSpan&) = default;
};

// Parallel vectors. typeIds is empty when every token has type 0.
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<uint8_t> typeIds;
  std::vector<TextSpan> spans;
  size_t size() const { return ids.size(); }
};

struct EncodeOptions {
  bool addSpecial = true;    // what the model expects around a text: <s> …, [CLS] … [SEP]
  bool parseSpecial = true;  // "</s>" or "[SEP]" written in the text becomes the special token, as transformers does
  size_t maxTokens = 0;      // 0 = no limit; special tokens count
};

// -1 where the tokenizer has none.
struct SpecialIds {
  int32_t bos = -1, eos = -1, pad = -1, unk = -1, cls = -1, sep = -1, mask = -1;
};

// How many tokens of each text of a pair stay when both together may have `limit` (the rule of the tokenizers library).
std::pair<size_t, size_t> longestFirst(size_t a, size_t b, size_t limit);

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  const std::string& kind() const { return m_kind; }  // "sentencepiece", "wordpiece"
  int64_t vocabSize() const { return m_vocabSize; }   // largest id + 1
  const SpecialIds& special() const { return m_special; }
  bool isSpecial(int32_t id) const;
  // Tokens that encode() puts around one text.
  const std::vector<int32_t>& prefix() const { return m_prefix; }
  const std::vector<int32_t>& suffix() const { return m_suffix; }
  // SHA-256 of the files and settings that decide about ids: a key for caches.
  const std::string& contentHash() const { return m_contentHash; }

  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  // The longer text is cut first when the pair does not fit maxTokens. Spans refer to the text the token came from;
  // the second text's tokens have type 1 where the model has types.
  Encoding encodePair(std::string_view a, std::string_view b, const EncodeOptions& options = {}) const;
  // The same from tokens without special ones; `lost` receives how many tokens were cut off.
  Encoding assemble(Encoding tokens, size_t maxTokens = 0, size_t* lost = nullptr) const;
  Encoding assemblePair(Encoding a, Encoding b, size_t maxTokens = 0, size_t* lost = nullptr) const;

  // Long texts in parts: encodePart over consecutive [cuts[i], cuts[i + 1]) gives the tokens of encode() without special
  // ones. Cuts are near `partBytes` apart where the text allows; first 0, last text.size().
  std::vector<size_t> cuts(std::string_view text, size_t partBytes = 1 << 18) const;
  void encodePart(std::string_view text, size_t begin, size_t end, bool parseSpecial, Encoding& out) const;

  std::string decode(std::span<const int32_t> ids, bool skipSpecial = true) const;
  virtual std::string idToPiece(int32_t id) const = 0;            // "▁the", "##ing", "" when out of range
  virtual int32_t pieceToId(std::string_view piece) const = 0;    // -1 when there is none

 protected:
  struct AddedToken {
    std::string content;
    int32_t id = -1;
    bool special = true, lstrip = false, rstrip = false, singleWord = false;
  };

  Tokenizer() = default;
  enum class Before { Nothing, AddedToken, Cut };
  // Appends ids and spans of plain text (no added tokens inside). `offset` is where `text` lies in the caller's text,
  // `before` what precedes it there.
  virtual void tokenize(std::string_view text, size_t offset, Before before, Encoding& out) const = 0;
  // True where a text may be cut before its byte `at` without changing the tokens of either side.
  virtual bool cutsAt(std::string_view text, size_t at) const = 0;
  // ids has no special tokens when the caller skips them.
  virtual std::string decodePlain(std::span<const int32_t> ids) const = 0;
  void addToken(AddedToken token);

  std::string m_kind;
  int64_t m_vocabSize = 0;
  SpecialIds m_special;
  std::vector<int32_t> m_prefix, m_suffix;
  // Between and after the texts of a pair; for BERT [CLS] A [SEP] B [SEP], for LLaMA <s> A <s> B.
  std::vector<int32_t> m_pairMiddle, m_pairSuffix;
  size_t m_pairMiddleOfFirst = 0;  // how many of m_pairMiddle have the first text's type
  bool m_hasTypes = false;
  std::vector<AddedToken> m_added;  // longest first; filled by addToken
  std::string m_contentHash;

 private:
  Encoding tokensOf(std::string_view text, bool parseSpecial) const;
  struct Match {
    size_t begin = 0, end = 0;  // with the white space that lstrip and rstrip take
    const AddedToken* token = nullptr;
  };
  Match findAdded(std::string_view text, size_t from, size_t end) const;
  std::array<bool, 256> m_addedFirst{};  // first bytes of added tokens
  bool m_addedHasSpace = false;
};

}  // namespace rankscope

#pragma once
// Text to token ids and back. A Tokenizer is immutable after loading and may be used from any number of threads at once.
// Encoding never fails: what a vocabulary cannot express becomes its unknown token, broken UTF-8 becomes U+FFFD. Ids equal
// those of Hugging Face's tokenizers for the same files.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/result.h"
#include "core/text/added_tokens.h"
#include "core/text/traced_text.h"

namespace rankscope {

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

// What a model expects around one text and around two: special tokens and the texts' places, in order.
struct TokenTemplate {
  enum class Part : uint8_t { Special, First, Second };
  struct Item {
    Part part = Part::Special;
    uint8_t type = 0;
    int32_t id = -1;  // of a special token
  };
  std::vector<Item> single{{Part::First, 0, -1}};
  std::vector<Item> pair{{Part::First, 0, -1}, {Part::Second, 1, -1}};
  bool hasTypes = false;  // else types are left out of encodings

  // [CLS] A [SEP] B [SEP] with the types of both texts; <s> A </s> </s> B </s>; <s> A <s> B (ids below 0 are left out).
  static TokenTemplate bert(int32_t cls, int32_t sep);
  static TokenTemplate roberta(int32_t cls, int32_t sep);
  static TokenTemplate around(int32_t bos, int32_t eos);
};

// What precedes a stretch of text that is tokenised: nothing, an added token, or the rest of the same stretch.
enum class Before { Nothing, AddedToken, Cut };

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  const std::string& kind() const { return m_kind; }  // "sentencepiece", "wordpiece", "bpe", "unigram"
  int64_t vocabSize() const { return m_vocabSize; }   // largest id + 1
  const SpecialIds& special() const { return m_special; }
  bool isSpecial(int32_t id) const;
  // Tokens that encode() puts before and after one text.
  const std::vector<int32_t>& prefix() const { return m_prefix; }
  const std::vector<int32_t>& suffix() const { return m_suffix; }
  // SHA-256 of the files and settings that decide about ids: a key for caches.
  const std::string& contentHash() const { return m_contentHash; }

  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  // The longer text is cut first when the pair does not fit maxTokens. Spans refer to the text the token came from.
  Encoding encodePair(std::string_view a, std::string_view b, const EncodeOptions& options = {}) const;
  // The same from tokens without special ones; `lost` receives how many tokens were cut off.
  Encoding assemble(Encoding tokens, size_t maxTokens = 0, size_t* lost = nullptr) const;
  Encoding assemblePair(Encoding a, Encoding b, size_t maxTokens = 0, size_t* lost = nullptr) const;

  // Of a pair whose first text has so many tokens: how many special tokens it has, and where its second text begins.
  std::pair<size_t, size_t> pairLayout(size_t firstTokens) const;

  // Long texts in parts: encodePart over consecutive [cuts[i], cuts[i + 1]) gives the tokens of encode() without special
  // ones. Cuts are near `partBytes` apart where the text allows; first 0, last text.size().
  std::vector<size_t> cuts(std::string_view text, size_t partBytes = 1 << 18) const;
  void encodePart(std::string_view text, size_t begin, size_t end, bool parseSpecial, Encoding& out) const;

  std::string decode(std::span<const int32_t> ids, bool skipSpecial = true) const;
  virtual std::string idToPiece(int32_t id) const = 0;          // "▁the", "##ing", "" when out of range
  virtual int32_t pieceToId(std::string_view piece) const = 0;  // -1 when there is none

 protected:
  Tokenizer() = default;
  // Appends ids and spans of text in which findInText() found nothing. `offset` is where it lies in the caller's text;
  // `parseAdded` whether added tokens of other kinds are to be looked for.
  virtual void tokenize(std::string_view text, size_t offset, Before before, bool parseAdded, Encoding& out) const = 0;
  // True where a text may be cut before its byte `at` without changing the tokens of either side.
  virtual bool cutsAt(std::string_view text, size_t at) const = 0;
  // Added tokens are among the ids, special ones unless the caller skips them.
  virtual std::string decodeKept(std::span<const int32_t> ids) const = 0;
  void addToken(AddedToken token);
  void setTemplate(TokenTemplate value);
  // To be called when all tokens are added; `tokens` are looked for in the text before anything else.
  void findInText(std::vector<const AddedToken*> tokens);

  std::string m_kind;
  int64_t m_vocabSize = 0;
  SpecialIds m_special;
  AddedTokens m_added;
  bool m_trimsAddedSpans = false;  // spans of added tokens leave out the white space that they take along
  std::string m_contentHash;

 private:
  Encoding tokensOf(std::string_view text, bool parseSpecial) const;
  Encoding filled(const std::vector<TokenTemplate::Item>& items, const Encoding& a, size_t keepA, const Encoding& b,
                  size_t keepB) const;
  TokenTemplate m_template;
  std::vector<int32_t> m_prefix, m_suffix;
  AddedTokenFinder m_finder;
};

}  // namespace rankscope

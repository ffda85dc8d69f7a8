#pragma once
// Tokenised sequences in flat arrays: one allocation per kind, whatever the number of examples. A value; views borrow.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/data/image_store.h"
#include "core/text/traced_text.h"

namespace rankscope {

inline constexpr int32_t kIgnoreLabel = -100;

// One sequence; borrows from its TokenizedSet.
struct ExampleView {
  std::span<const int32_t> ids;
  std::span<const uint8_t> typeIds;   // empty: all 0
  std::span<const uint8_t> lossMask;  // 1 = this token is to be predicted; empty: none (classification, regression)
  int32_t classLabel = -1;
  float target = 0;
  uint64_t row = 0;                   // row (or block) of the file it came from, from 1
  bool truncated = false;
  // Answer spans: first and last token of the answer (both 0, the place before the texts, where this window holds none),
  // and what each token covers of the question's context (nothing for tokens outside it).
  std::array<int32_t, 2> answer{-1, -1};
  std::span<const TextSpan> offsets;
  const ImageStore* images = nullptr;  // images: ids[0] is the example's place in it

  size_t length() const { return ids.size(); }
  // Unshifted label of token i: the token itself, or -100. Position i predicts label(i + 1).
  int32_t label(size_t i) const { return !lossMask.empty() && lossMask[i] ? ids[i] : kIgnoreLabel; }
};

// What an answer is judged by: the text it is taken from, and the texts that count as right (none: there is no answer).
struct QuestionText {
  std::shared_ptr<const std::string> context;
  std::vector<std::string> answers;
};

class TokenizedSet {
 public:
  size_t size() const { return m_starts.size() - 1; }
  bool empty() const { return size() == 0; }
  uint64_t tokens() const { return m_ids.size(); }
  // Tokens that are predicted: those with a loss, the first of each sequence excepted.
  uint64_t scoredTokens() const;
  ExampleView operator[](size_t index) const;
  size_t length(size_t index) const { return static_cast<size_t>(m_starts[index + 1] - m_starts[index]); }
  size_t longest() const;

  // Appends a copy. Within one set either all examples have offsets or none has.
  void add(const ExampleView& example);
  void append(const TokenizedSet& other);
  // The examples named, in that order.
  TokenizedSet subset(std::span<const uint32_t> indices) const;
  void reserve(size_t examples, size_t tokens);
  // Images: the store that the ids point into; null for text. Subsets share it.
  const std::shared_ptr<const ImageStore>& images() const { return m_images; }
  void setImages(std::shared_ptr<const ImageStore> images) { m_images = std::move(images); }
  // Class c becomes newClass[c].
  void renumberClasses(std::span<const int32_t> newClass);
  // Examples of one row of the file lie side by side (windows of a question, choices): where each row begins, and the end.
  std::vector<uint32_t> rowStarts() const;
  // By row of the file; null where the row asks nothing. Subsets share them.
  const QuestionText* question(uint64_t row) const;
  void addQuestion(uint64_t row, QuestionText question);

 private:
  friend class TokenCache;
  std::vector<int32_t> m_ids;
  std::vector<uint64_t> m_starts{0};
  std::vector<uint8_t> m_typeIds, m_lossMask;  // empty or as long as m_ids
  std::vector<int32_t> m_classLabels;
  std::vector<float> m_targets;
  std::vector<uint64_t> m_rows;
  std::vector<uint8_t> m_truncated;
  std::vector<std::array<int32_t, 2>> m_answers;  // empty or one for each example
  std::vector<TextSpan> m_offsets;                // empty or as long as m_ids
  std::shared_ptr<std::map<uint64_t, QuestionText>> m_questions;
  std::shared_ptr<const ImageStore> m_images;
};

}  // namespace rankscope

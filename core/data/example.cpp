#include "core/data/example.h"

#include <algorithm>

namespace rankscope {

uint64_t TokenizedSet::scoredTokens() const {
  uint64_t count = 0;
  if (m_lossMask.empty()) return 0;
  for (size_t i = 0; i < size(); ++i)
    for (uint64_t t = m_starts[i] + 1; t < m_starts[i + 1]; ++t) count += m_lossMask[t];
  return count;
}

ExampleView TokenizedSet::operator[](size_t index) const {
  const size_t begin = m_starts[index], count = length(index);
  ExampleView view;
  view.ids = std::span(m_ids).subspan(begin, count);
  if (!m_typeIds.empty()) view.typeIds = std::span(m_typeIds).subspan(begin, count);
  if (!m_lossMask.empty()) view.lossMask = std::span(m_lossMask).subspan(begin, count);
  view.classLabel = m_classLabels[index];
  view.target = m_targets[index];
  view.row = m_rows[index];
  view.truncated = m_truncated[index] != 0;
  if (!m_answers.empty()) view.answer = m_answers[index];
  if (!m_offsets.empty()) view.offsets = std::span(m_offsets).subspan(begin, count);
  view.images = m_images.get();
  return view;
}

size_t TokenizedSet::longest() const {
  size_t most = 0;
  for (size_t i = 0; i < size(); ++i) most = std::max(most, length(i));
  return most;
}

void TokenizedSet::add(const ExampleView& example) {
  // A first example with types or a mask decides for all; earlier tokens without them get zeros.
  if (!example.typeIds.empty()) m_typeIds.resize(m_ids.size(), 0);
  if (!example.lossMask.empty()) m_lossMask.resize(m_ids.size(), 0);
  m_ids.insert(m_ids.end(), example.ids.begin(), example.ids.end());
  m_typeIds.insert(m_typeIds.end(), example.typeIds.begin(), example.typeIds.end());
  m_lossMask.insert(m_lossMask.end(), example.lossMask.begin(), example.lossMask.end());
  if (!m_typeIds.empty()) m_typeIds.resize(m_ids.size(), 0);
  if (!m_lossMask.empty()) m_lossMask.resize(m_ids.size(), 0);
  m_starts.push_back(m_ids.size());
  m_classLabels.push_back(example.classLabel);
  m_targets.push_back(example.target);
  m_rows.push_back(example.row);
  m_truncated.push_back(example.truncated ? 1 : 0);
  if (!example.offsets.empty()) {
    m_answers.push_back(example.answer);
    m_offsets.insert(m_offsets.end(), example.offsets.begin(), example.offsets.end());
  }
}

void TokenizedSet::append(const TokenizedSet& other) {
  reserve(size() + other.size(), m_ids.size() + other.m_ids.size());
  for (size_t i = 0; i < other.size(); ++i) add(other[i]);
}

TokenizedSet TokenizedSet::subset(std::span<const uint32_t> indices) const {
  TokenizedSet result;
  size_t tokens = 0;
  for (const uint32_t index : indices) tokens += length(index);
  result.reserve(indices.size(), tokens);
  for (const uint32_t index : indices) result.add((*this)[index]);
  result.m_questions = m_questions;
  result.m_images = m_images;
  return result;
}

void TokenizedSet::renumberClasses(std::span<const int32_t> newClass) {
  for (int32_t& label : m_classLabels)
    if (label >= 0) label = newClass[static_cast<size_t>(label)];
}

std::vector<uint32_t> TokenizedSet::rowStarts() const {
  std::vector<uint32_t> starts;
  for (size_t i = 0; i < size(); ++i)
    if (i == 0 || m_rows[i] != m_rows[i - 1]) starts.push_back(static_cast<uint32_t>(i));
  starts.push_back(static_cast<uint32_t>(size()));
  return starts;
}

const QuestionText* TokenizedSet::question(uint64_t row) const {
  if (!m_questions) return nullptr;
  const auto found = m_questions->find(row);
  return found == m_questions->end() ? nullptr : &found->second;
}

void TokenizedSet::addQuestion(uint64_t row, QuestionText question) {
  if (!m_questions) m_questions = std::make_shared<std::map<uint64_t, QuestionText>>();
  m_questions->insert_or_assign(row, std::move(question));
}

void TokenizedSet::reserve(size_t examples, size_t tokens) {
  // Grown by doubling: an exact reserve before each small append would copy everything each time.
  const auto grow = [](auto& values, size_t count) {
    if (count > values.capacity()) values.reserve(std::max(count, values.capacity() * 2));
  };
  grow(m_ids, tokens);
  grow(m_starts, examples + 1);
  grow(m_classLabels, examples);
  grow(m_targets, examples);
  grow(m_rows, examples);
  grow(m_truncated, examples);
}

}  // namespace rankscope

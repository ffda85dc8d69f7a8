// causal_lm and masked_lm: documents of a table's text column, and their cutting into blocks.

#include <algorithm>

#include "core/data/task.h"

namespace rankscope {
namespace {

class DocumentTask : public RowTask {
 public:
  DocumentTask(const Tokenizer& tokenizer, size_t column) : m_tokenizer(tokenizer), m_column(column) {}

  RowOutcome encode(const Row& row) const override {
    const std::optional<std::string>& text = row.cells[m_column];
    if (!text || text->empty()) return SkippedRow{"the row has no text; it was left out"};
    EncodedRow encoded;
    encoded.ids = m_tokenizer.encode(*text, {.addSpecial = false}).ids;
    if (encoded.ids.empty()) return SkippedRow{"the row's text gives no token; it was left out"};
    return encoded;
  }

 private:
  const Tokenizer& m_tokenizer;
  size_t m_column;
};

}  // namespace

Result<std::unique_ptr<RowTask>> makeDocumentTask(const TaskSetup& setup) {
  Result<size_t> column = findColumn(setup.columns, setup.roles.text, "data.columns.text");
  if (!column) return column.error();
  return std::unique_ptr<RowTask>(std::make_unique<DocumentTask>(*setup.tokenizer, *column));
}

BlockBuilder::BlockBuilder(const Tokenizer& tokenizer, size_t maxLength, bool masked)
    : m_tokenizer(tokenizer),
      m_masked(masked),
      m_opening(tokenizer.prefix()),
      m_closing(tokenizer.special().eos >= 0 ? tokenizer.special().eos : tokenizer.special().sep),
      m_maxLength(maxLength) {
  if (m_masked) m_maxLength -= std::min(m_maxLength, m_tokenizer.suffix().size());
  m_maxLength = std::max(m_maxLength, m_opening.size() + 1);
}

void BlockBuilder::put(int32_t id, bool scored) {
  if (m_ids.size() >= m_maxLength) close();
  if (m_ids.empty()) {
    for (const int32_t opening : m_opening) {
      m_ids.push_back(opening);
      m_mask.push_back(0);
    }
    // A document that begins where a block does needs no second opening.
    if (!scored) return;
  }
  m_ids.push_back(id);
  m_mask.push_back(scored && !(m_masked && m_tokenizer.isSpecial(id)) ? 1 : 0);
}

void BlockBuilder::close() {
  // A block without a token to predict teaches nothing.
  const bool firstCounts = m_masked || m_mask.empty();
  const auto scored = std::count(m_mask.begin() + (firstCounts ? 0 : 1), m_mask.end(), uint8_t{1});
  const std::vector<int32_t>& ending = m_tokenizer.suffix();
  if (m_masked && scored > 0 &&
      (m_ids.size() < ending.size() || !std::equal(ending.rbegin(), ending.rend(), m_ids.rbegin()))) {
    m_ids.insert(m_ids.end(), ending.begin(), ending.end());
    m_mask.resize(m_ids.size(), 0);
  }
  if (scored > 0) m_set.add({m_ids, {}, m_mask, -1, 0, m_set.size() + 1, false});
  m_ids.clear();
  m_mask.clear();
}

void BlockBuilder::add(std::span<const int32_t> document) {
  if (!m_ids.empty() && m_ids.size() + m_opening.size() < m_maxLength)
    for (const int32_t id : m_opening) put(id, false);
  else if (!m_opening.empty())
    close();
  for (const int32_t id : document) put(id, true);
  // Under masking a full block ends by itself, and nothing is to be predicted at a document's end.
  if (m_closing >= 0 && !(m_masked && m_ids.size() >= m_maxLength)) put(m_closing, !m_masked);
}

TokenizedSet BlockBuilder::finish() {
  close();
  return std::move(m_set);
}

}  // namespace rankscope

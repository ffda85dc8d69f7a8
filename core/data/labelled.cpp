// classification and regression: one or two sentences, cut longest first, with a class or a number.

#include <charconv>
#include <cmath>

#include "core/data/task.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

struct Sentences {
  const Tokenizer& tokenizer;
  size_t maxLength;
  size_t text;
  std::optional<size_t> textPair;

  // False when the row has no text.
  bool encode(const Row& row, EncodedRow& out) const {
    const std::optional<std::string>& first = row.cells[text];
    if (!first) return false;
    Encoding a = tokenizer.encode(*first, {.addSpecial = false});
    Encoding whole;
    if (textPair) {
      if (!row.cells[*textPair]) return false;
      Encoding b = tokenizer.encode(*row.cells[*textPair], {.addSpecial = false});
      whole = tokenizer.assemblePair(std::move(a), std::move(b), maxLength, &out.lost);
    } else {
      whole = tokenizer.assemble(std::move(a), maxLength, &out.lost);
    }
    out.ids = std::move(whole.ids);
    out.typeIds = std::move(whole.typeIds);
    return !out.ids.empty();
  }
};

class LabelledTask : public RowTask {
 public:
  LabelledTask(Sentences sentences, size_t label, bool number, std::filesystem::path path)
      : m_sentences(sentences), m_label(label), m_number(number), m_path(std::move(path)) {}

  RowOutcome encode(const Row& row) const override {
    const std::optional<std::string>& label = row.cells[m_label];
    if (!label || label->empty()) return SkippedRow{"the label is empty; the row was left out"};
    EncodedRow encoded;
    if (!m_sentences.encode(row, encoded)) return SkippedRow{"the row has no text; it was left out"};
    if (!m_number) {
      encoded.label = *label;
      return encoded;
    }
    double value = 0;
    const char* begin = label->data() + (label->starts_with('+') ? 1 : 0);
    const char* end = label->data() + label->size();
    const auto [stop, code] = std::from_chars(begin, end, value);
    if (code != std::errc() || stop != end || !std::isfinite(static_cast<float>(value)))
      return Error{ErrorCode::BadInput, "target is not a number", placeOf(m_path, row),
                   shown(*label), "a number", "Correct this row, or choose another column with data.columns.label."};
    encoded.target = static_cast<float>(value);
    return encoded;
  }

 private:
  Sentences m_sentences;
  size_t m_label;
  bool m_number;
  std::filesystem::path m_path;
};

Result<std::unique_ptr<RowTask>> make(const TaskSetup& setup, bool number) {
  Result<size_t> text = findColumn(setup.columns, setup.roles.text, "data.columns.text");
  if (!text) return text.error();
  Result<size_t> label = findColumn(setup.columns, setup.roles.label, "data.columns.label");
  if (!label) return label.error();
  Sentences sentences{*setup.tokenizer, static_cast<size_t>(setup.settings.maxLength), *text, std::nullopt};
  if (!setup.roles.textPair.empty()) {
    Result<size_t> pair = findColumn(setup.columns, setup.roles.textPair, "data.columns.text_pair");
    if (!pair) return pair.error();
    sentences.textPair = *pair;
  }
  if (*label == *text || (sentences.textPair && *label == *sentences.textPair))
    return Error{ErrorCode::Usage, "text and label are the same column", "data.columns.label", setup.columns[*label],
                 "different columns", "Set data.columns.text and data.columns.label."};
  return std::unique_ptr<RowTask>(std::make_unique<LabelledTask>(sentences, *label, number, setup.path));
}

}  // namespace

Result<std::unique_ptr<RowTask>> makeClassificationTask(const TaskSetup& setup) { return make(setup, false); }
Result<std::unique_ptr<RowTask>> makeRegressionTask(const TaskSetup& setup) { return make(setup, true); }

}  // namespace rankscope

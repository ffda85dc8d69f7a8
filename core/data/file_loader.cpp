#include "core/data/file_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <thread>

#include "core/config/text_shown.h"
#include "core/data/image_table.h"
#include "core/data/token_cache.h"
#include "core/io/mapped_file.h"
#include "core/io/sha256.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kRowsAtOnce = 4096;
constexpr size_t kImagesAtOnce = 256;
constexpr size_t kBytesAtOnce = 16u << 20;
constexpr size_t kRowsForGuess = 200;
constexpr size_t kMaxClasses = 1000;
constexpr std::string_view kDocumentMark = "<|endoftext|>";

// Runs work(i) for i in [0, count) on several threads; each index once, in no order.
void parallelFor(size_t count, int threads, const std::function<void(size_t)>& work) {
  const size_t workers = std::min<size_t>(count, static_cast<size_t>(std::max(threads, 1)));
  std::atomic<size_t> next{0};
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::thread> pool;
  for (size_t i = 1; i < workers; ++i) pool.emplace_back(run);
  run();
  for (std::thread& thread : pool) thread.join();
}

int threadCount(const PrepareOptions& options) {
  return options.threads > 0 ? options.threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

Error cancelled() {
  return Error{
      ErrorCode::Interrupted, "preparation of the data was cancelled", "", "", "", "Start it again when it is wanted."};
}

bool asked(const PrepareOptions& options) { return options.cancel && options.cancel->load(std::memory_order_relaxed); }

void tell(const PrepareOptions& options, double share, const std::string& what) {
  if (options.progress) options.progress(share, what);
}

// Classes in the order that people expect: by value when all are numbers, else by their bytes.
std::vector<std::string> sortedLabels(std::vector<std::string> labels) {
  const auto number = [](const std::string& text) -> std::optional<double> {
    double value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
  };
  const bool numbers =
      std::all_of(labels.begin(), labels.end(), [&](const std::string& label) { return number(label).has_value(); });
  std::sort(labels.begin(), labels.end(), [&](const std::string& a, const std::string& b) {
    return numbers && *number(a) != *number(b) ? *number(a) < *number(b) : a < b;
  });
  return labels;
}

}  // namespace

FileLoader::FileLoader(const fs::path& path, const DataSettings& settings, const Tokenizer* tokenizer,
                       const PrepareOptions& options, std::vector<std::string> labels, uint64_t stopAfter)
    : m_path(path), m_settings(settings), m_tokenizer(tokenizer), m_options(options), m_stopAfter(stopAfter) {
  m_file.labels = std::move(labels);
  m_labelsGiven = !m_file.labels.empty();
  for (size_t i = 0; i < m_file.labels.size(); ++i) m_classOf[m_file.labels[i]] = static_cast<int32_t>(i);
}

std::string FileLoader::key(const std::string& contentHash) const {
  Sha256 hash;
  hash.updateField("tokens 1");
  hash.updateField(contentHash);
  hash.updateField(m_tokenizer->contentHash());
  hash.updateField(dataTaskName(m_settings.task));
  hash.updateField(dataFormatName(m_file.format));
  hash.updateField(std::to_string(static_cast<int>(m_settings.table.header)));
  for (const std::string& role : {m_file.roles.text, m_file.roles.textPair, m_file.roles.label, m_file.roles.prompt,
                                  m_file.roles.answer, m_file.roles.promptTemplate, m_file.roles.question,
                                  m_file.roles.context, m_file.roles.answerStart})
    hash.updateField(role);
  hash.updateField(m_file.roles.messages);
  if (m_settings.chatTemplate) hash.updateField(m_settings.chatTemplate->identity() + (m_settings.lossOnLastTurn ? " last" : " all"));
  for (const std::string& choice : m_file.roles.choices) hash.updateField("choice " + choice);
  for (const std::string& label : m_file.labels) hash.updateField(label);
  hash.updateField(std::to_string(dataTaskEntry(m_settings.task).documents ? 0 : m_settings.maxLength));
  hash.updateField(std::to_string(m_settings.docStride));
  hash.updateField(std::to_string(m_stopAfter));
  return hash.hex();
}

Result<PreparedFile> FileLoader::load() {
  Result<std::unique_ptr<TableReader>> reader = TableReader::open(m_path, m_settings.table);
  if (!reader) return reader.error();
  Result<std::string> contentHash = (*reader)->contentHash();
  if (!contentHash) return contentHash.error();
  m_file.contentHash = *contentHash;
  m_file.format = (*reader)->format();

  std::unique_ptr<RowTask> task;
  const bool images = m_file.format == DataFormat::Images;
  if (images && !readsImages(m_settings.task))
    return Error{ErrorCode::BadInput, "the data holds images", m_path.string(), dataTaskName(m_settings.task),
                 "image_classification", "Set data.task to image_classification, or choose data of text."};
  if (m_file.format == DataFormat::Text && !dataTaskEntry(m_settings.task).documents)
    return Error{ErrorCode::BadInput,
                 "plain text has no columns for this task",
                 m_path.string(),
                 dataTaskName(m_settings.task),
                 "causal_lm or masked_lm, or a csv, tsv, jsonl or json file",
                 "Set data.task to causal_lm or masked_lm, or data.format to the file's real format."};
  if (m_file.format != DataFormat::Text) {
    std::vector<Row> sample;
    Row row;
    while (sample.size() < kRowsForGuess && (*reader)->next(row)) sample.push_back(row);
    (*reader)->rewind();
    std::optional<std::string> inputJoint;
    if (m_settings.chatTemplate) inputJoint = m_settings.chatTemplate->inputJoint;
    m_file.roles = guessRoles(m_settings.task, (*reader)->columns(), sample, m_settings.columns, inputJoint);
    Result<std::unique_ptr<RowTask>> made =
        dataTaskEntry(m_settings.task).make({m_settings, m_tokenizer, **reader, m_path, (*reader)->columns(), m_file.roles, sample});
    if (!made) {
      Error error = made.error();
      error.where = m_path.string() + ": " + error.where;
      return error;
    }
    task = std::move(*made);
    for (std::string& note : task->notes()) m_file.problems.add(0, 0, std::move(note));
  }

  // Images are decoded anew in every life: what a cache would hold is larger than their files.
  const TokenCache cache(images ? fs::path() : m_options.cacheFolder, images ? std::string() : key(*contentHash));
  if (std::optional<PreparedFile> kept = images ? std::nullopt : cache.load(m_tokenizer->vocabSize())) {
    kept->contentHash = m_file.contentHash;
    kept->roles = m_file.roles;
    kept->format = m_file.format;
    return std::move(*kept);
  }
  if (images) {
    const uint64_t rows = static_cast<const ImageTable&>(**reader).source()->size();
    Result<std::shared_ptr<ImageStore>> store =
        ImageStore::create(m_settings.image, m_stopAfter > 0 ? std::min(rows, m_stopAfter) : rows, m_path.string());
    if (!store) return store.error();
    m_images = std::move(*store);
  }
  Result<void> done = task ? loadRows(**reader, *task) : loadText();
  if (!done) return done.error();
  if (Result<void> finished = finishLabels(); !finished) return finished.error();
  if (m_file.set.empty()) {
    const bool told = !m_file.problems.items.empty();
    return Error{ErrorCode::BadInput,
                 "no row of the data can be used",
                 told ? fmt::format("{}: row {} (line {})", m_path.string(), m_file.problems.items[0].row,
                                    m_file.problems.items[0].line)
                      : m_path.string(),
                 told ? m_file.problems.items[0].message : "",
                 "at least one row",
                 "Check the columns (data.columns.*) and the task (data.task)."};
  }
  m_file.set.setImages(m_images);
  cache.save(m_file);
  return std::move(m_file);
}

Result<void> FileLoader::loadText() {
  Result<std::shared_ptr<MappedFile>> mapped = MappedFile::open(m_path, MappedFile::Access::Sequential);
  if (!mapped) return mapped.error();
  std::string_view bytes = (*mapped)->bytes();
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);

  // One document a file, unless the customary mark separates several. Long ones are tokenised in parts.
  struct Part {
    std::string_view document;
    size_t begin, end;
    bool last;
  };
  std::vector<Part> parts;
  for (std::string_view rest = bytes; !rest.empty();) {
    const size_t mark = rest.find(kDocumentMark);
    std::string_view document = rest.substr(0, mark);
    rest.remove_prefix(mark == std::string_view::npos ? rest.size() : mark + kDocumentMark.size());
    // The line ends around a mark belong to it.
    if (mark != std::string_view::npos || document.data() != bytes.data()) {
      while (document.starts_with('\n') || document.starts_with('\r')) document.remove_prefix(1);
      if (mark != std::string_view::npos)
        while (document.ends_with('\n') || document.ends_with('\r')) document.remove_suffix(1);
    }
    if (document.empty()) continue;
    const std::vector<size_t> cuts = m_tokenizer->cuts(document);
    for (size_t i = 0; i + 1 < cuts.size(); ++i)
      parts.push_back({document, cuts[i], cuts[i + 1], i + 2 == cuts.size()});
  }
  const int threads = threadCount(m_options);
  const size_t group = static_cast<size_t>(threads) * 4;
  std::vector<int32_t> document;
  for (size_t first = 0; first < parts.size(); first += group) {
    if (asked(m_options)) return cancelled();
    const size_t count = std::min(group, parts.size() - first);
    std::vector<Encoding> encoded(count);
    parallelFor(count, threads, [&](size_t i) {
      const Part& part = parts[first + i];
      m_tokenizer->encodePart(part.document, part.begin, part.end, true, encoded[i]);
    });
    for (size_t i = 0; i < count; ++i) {
      document.insert(document.end(), encoded[i].ids.begin(), encoded[i].ids.end());
      if (!parts[first + i].last) continue;
      if (!document.empty()) m_file.set.add({document, {}, {}, -1, 0, ++m_file.statistics.rows, false});
      document.clear();
    }
    tell(m_options, static_cast<double>(first + count) / static_cast<double>(parts.size()), "tokenising");
  }
  return {};
}

Result<void> FileLoader::loadRows(TableReader& reader, const RowTask& task) {
  std::vector<Row> rows;
  size_t bytes = 0;
  Row row;
  bool more = true;
  while (more) {
    more = reader.next(row);
    if (more) {
      for (const std::optional<std::string>& cell : row.cells) bytes += cell ? cell->size() : 0;
      rows.push_back(std::move(row));
      row = {};
    }
    if (rows.size() < (m_images ? kImagesAtOnce : kRowsAtOnce) && bytes < kBytesAtOnce && more) continue;
    if (asked(m_options)) return cancelled();
    if (Result<void> done = flush(rows, task); !done) return done.error();
    m_file.statistics.rows += rows.size();
    rows.clear();
    bytes = 0;
    tell(m_options, reader.progress(), m_images ? "decoding images" : "tokenising");
    if (m_stopAfter > 0 && m_usedRows >= m_stopAfter) break;
  }
  // What the reader could not read and what the task could not use, together in the file's order.
  m_file.problems.append(reader.problems());
  std::stable_sort(m_file.problems.items.begin(), m_file.problems.items.end(),
                   [](const DataProblem& a, const DataProblem& b) { return a.line < b.line; });
  return {};
}

Result<void> FileLoader::flush(const std::vector<Row>& rows, const RowTask& task) {
  std::vector<RowOutcome> outcomes(rows.size());
  constexpr size_t kSlice = 32;
  parallelFor((rows.size() + kSlice - 1) / kSlice, threadCount(m_options), [&](size_t slice) {
    for (size_t i = slice * kSlice; i < std::min(rows.size(), (slice + 1) * kSlice); ++i)
      outcomes[i] = task.encode(rows[i]);
  });
  for (size_t i = 0; i < rows.size(); ++i) {
    if (const Error* error = std::get_if<Error>(&outcomes[i])) return *error;
    if (const SkippedRow* skipped = std::get_if<SkippedRow>(&outcomes[i])) {
      m_file.problems.add(rows[i].number, rows[i].line, skipped->reason);
      continue;
    }
    if (EncodedRows* several = std::get_if<EncodedRows>(&outcomes[i])) {
      for (const EncodedRow& encoded : several->examples) addExample(encoded, encoded.classLabel, rows[i]);
      if (several->question) addQuestion(std::move(*several->question), rows[i]);
    } else {
      EncodedRow& encoded = std::get<EncodedRow>(outcomes[i]);
      int32_t classLabel = -1;
      if (hasClasses(m_settings.task)) {
        Result<int32_t> found = classOf(encoded.label, rows[i]);
        if (!found) return found.error();
        classLabel = *found;
      }
      if (m_images) encoded.ids = {m_images->add(encoded.pixels)};
      addExample(encoded, classLabel, rows[i]);
    }
    if (m_stopAfter > 0 && ++m_usedRows >= m_stopAfter) break;
  }
  return {};
}

void FileLoader::addExample(const EncodedRow& encoded, int32_t classLabel, const Row& row) {
  m_file.set.add({encoded.ids, encoded.typeIds, encoded.lossMask, classLabel, encoded.target, row.number, encoded.lost > 0,
                  encoded.answer, encoded.offsets});
  m_file.statistics.count(encoded.ids.size() + encoded.lost, encoded.lost);
}

// Questions on one text follow each other and share it.
void FileLoader::addQuestion(QuestionText question, const Row& row) {
  if (m_lastContext && *m_lastContext == *question.context) question.context = m_lastContext;
  m_lastContext = question.context;
  m_file.set.addQuestion(row.number, std::move(question));
}

Result<int32_t> FileLoader::classOf(const std::string& label, const Row& row) {
  const auto found = m_classOf.find(label);
  if (found != m_classOf.end()) return found->second;
  if (m_labelsGiven) {
    std::string list;
    for (size_t i = 0; i < std::min<size_t>(m_file.labels.size(), 20); ++i)
      list += (list.empty() ? "" : ", ") + m_file.labels[i];
    return Error{ErrorCode::BadInput,
                 "label is none of the classes",
                 placeOf(m_path, row),
                 shown(label),
                 list,
                 "Correct this row, or name all classes in data.labels."};
  }
  if (m_classOf.size() >= kMaxClasses)
    return Error{ErrorCode::BadInput,
                 "label column has too many different values",
                 m_path.string(),
                 fmt::format("more than {}", kMaxClasses),
                 fmt::format("at most {} classes", kMaxClasses),
                 "Choose the column with the classes (data.columns.label), or data.task regression for numbers."};
  const auto provisional = static_cast<int32_t>(m_classOf.size());
  m_classOf.emplace(label, provisional);
  return provisional;
}

Result<void> FileLoader::finishLabels() {
  if (!hasClasses(m_settings.task) || m_labelsGiven) return {};
  std::vector<std::string> labels;
  for (const auto& [label, provisional] : m_classOf) labels.push_back(label);
  m_file.labels = sortedLabels(std::move(labels));
  std::vector<int32_t> final(m_file.labels.size());
  for (size_t i = 0; i < m_file.labels.size(); ++i)
    final[static_cast<size_t>(m_classOf[m_file.labels[i]])] = static_cast<int32_t>(i);
  m_file.set.renumberClasses(final);
  return {};
}

}  // namespace rankscope

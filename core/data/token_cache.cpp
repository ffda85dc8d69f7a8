#include "core/data/token_cache.h"

#include <algorithm>
#include <cstring>

#include "core/config/atomic_file.h"
#include "core/config/json_text.h"
#include "core/io/mapped_file.h"
#include "core/io/sha256.h"

namespace rankscope {
namespace {

// magic, SHA-256 of all that follows (64 hex digits), u64 length of the JSON head, the head, then the arrays in order.
constexpr std::string_view kMagic = "RSTOKEN1";
constexpr size_t kPreamble = 8 + 64;

template <typename T>
std::string_view bytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
bool take(std::string_view& from, std::vector<T>& out, uint64_t count) {
  if (count > from.size() / sizeof(T)) return false;
  out.resize(count);
  if (count > 0) std::memcpy(out.data(), from.data(), count * sizeof(T));
  from.remove_prefix(count * sizeof(T));
  return true;
}

// Questions as lengths and numbers, and their texts end to end. A context that several in a row share is kept once.
void writeQuestions(const std::map<uint64_t, QuestionText>& questions, std::vector<uint64_t>& numbers, std::string& texts) {
  const std::string* last = nullptr;
  numbers = {questions.size()};
  for (const auto& [row, question] : questions) {
    const bool same = question.context.get() == last;
    last = question.context.get();
    numbers.insert(numbers.end(), {row, same ? UINT64_MAX : last->size(), question.answers.size()});
    if (!same) texts += *last;
    for (const std::string& answer : question.answers) {
      numbers.push_back(answer.size());
      texts += answer;
    }
  }
}

bool readQuestions(std::span<const uint64_t> numbers, std::string_view texts, TokenizedSet& set) {
  const auto number = [&](uint64_t& value) {
    if (numbers.empty()) return false;
    value = numbers.front();
    numbers = numbers.subspan(1);
    return true;
  };
  const auto text = [&](uint64_t length, std::string& value) {
    if (length > texts.size()) return false;
    value = texts.substr(0, length);
    texts.remove_prefix(length);
    return true;
  };
  std::shared_ptr<const std::string> context;
  uint64_t count = 0, row = 0, length = 0, answers = 0;
  if (!number(count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    if (!number(row) || !number(length) || !number(answers)) return false;
    std::string value;
    if (length != UINT64_MAX) {
      if (!text(length, value)) return false;
      context = std::make_shared<const std::string>(std::move(value));
    }
    if (!context) return false;
    QuestionText question{context, {}};
    for (uint64_t k = 0; k < answers; ++k) {
      if (!number(length) || !text(length, value)) return false;
      question.answers.push_back(value);
    }
    set.addQuestion(row, std::move(question));
  }
  return numbers.empty() && texts.empty();
}

uint64_t countIn(const nlohmann::json& head, const char* key) {
  const auto found = head.find(key);
  return found != head.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

}  // namespace

TokenCache::TokenCache(std::filesystem::path folder, std::string key) {
  if (!folder.empty()) m_path = folder / (std::move(key) + ".tokens");
}

std::optional<PreparedFile> TokenCache::load(int64_t vocabSize) const {
  if (m_path.empty()) return std::nullopt;
  Result<std::shared_ptr<MappedFile>> mapped = MappedFile::open(m_path, MappedFile::Access::Sequential);
  if (!mapped) return std::nullopt;
  std::string_view bytes = (*mapped)->bytes();
  if (bytes.size() < kPreamble + 8 || bytes.substr(0, 8) != kMagic) return std::nullopt;
  if (sha256Hex(bytes.substr(kPreamble)) != bytes.substr(8, 64)) return std::nullopt;
  bytes.remove_prefix(kPreamble);
  uint64_t headBytes = 0;
  std::memcpy(&headBytes, bytes.data(), 8);
  bytes.remove_prefix(8);
  if (headBytes > bytes.size()) return std::nullopt;
  Result<nlohmann::json> head = parseJson(bytes.substr(0, headBytes), m_path.string());
  bytes.remove_prefix(headBytes);
  if (!head || !head->is_object()) return std::nullopt;

  PreparedFile file;
  TokenizedSet& set = file.set;
  const uint64_t tokens = countIn(*head, "tokens"), examples = countIn(*head, "examples");
  if (!take(bytes, set.m_ids, tokens) || !take(bytes, set.m_starts, examples + 1) ||
      !take(bytes, set.m_typeIds, countIn(*head, "types")) || !take(bytes, set.m_lossMask, countIn(*head, "masks")) ||
      !take(bytes, set.m_classLabels, examples) || !take(bytes, set.m_targets, examples) ||
      !take(bytes, set.m_rows, examples) || !take(bytes, set.m_truncated, examples) ||
      !take(bytes, file.statistics.lengthCounts, countIn(*head, "lengths")))
    return std::nullopt;
  std::vector<uint64_t> numbers;
  std::vector<char> texts;
  if (!take(bytes, set.m_answers, countIn(*head, "answers")) || !take(bytes, set.m_offsets, countIn(*head, "offsets")) ||
      !take(bytes, numbers, countIn(*head, "question_numbers")) || !take(bytes, texts, countIn(*head, "question_texts")) ||
      !bytes.empty())
    return std::nullopt;
  if (!numbers.empty() && !readQuestions(numbers, {texts.data(), texts.size()}, set)) return std::nullopt;
  bool sound = set.m_starts.front() == 0 && set.m_starts.back() == tokens &&
               (set.m_typeIds.empty() || set.m_typeIds.size() == tokens) &&
               (set.m_lossMask.empty() || set.m_lossMask.size() == tokens) &&
               (set.m_answers.empty() || set.m_answers.size() == examples) &&
               (set.m_offsets.empty() || set.m_offsets.size() == tokens) && set.m_answers.empty() == set.m_offsets.empty();
  for (size_t i = 0; sound && i < examples; ++i) sound = set.m_starts[i] <= set.m_starts[i + 1];
  for (size_t i = 0; sound && i < tokens; ++i) sound = set.m_ids[i] >= 0 && set.m_ids[i] < vocabSize;
  try {
    file.labels = head->at("labels").get<std::vector<std::string>>();
    file.statistics.rows = countIn(*head, "rows");
    file.statistics.examples = countIn(*head, "counted");
    file.statistics.tokens = countIn(*head, "all_tokens");
    file.statistics.tokensLost = countIn(*head, "lost");
    file.statistics.overLimit = countIn(*head, "over");
    file.problems.total = countIn(*head, "problems_total");
    for (const nlohmann::json& entry : head->at("problems"))
      file.problems.items.push_back({entry.at(0).get<uint64_t>(), entry.at(1).get<uint64_t>(), entry.at(2).get<std::string>()});
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
  for (const int32_t label : set.m_classLabels)
    sound = sound && label >= -1 && (file.labels.empty() || label < static_cast<int64_t>(file.labels.size()));
  if (!sound) return std::nullopt;
  return file;
}

void TokenCache::save(const PreparedFile& file) const {
  if (m_path.empty()) return;
  const TokenizedSet& set = file.set;
  nlohmann::json problems = nlohmann::json::array();
  for (const DataProblem& problem : file.problems.items) problems.push_back({problem.row, problem.line, problem.message});
  std::vector<uint64_t> numbers;
  std::string texts;
  if (set.m_questions) writeQuestions(*set.m_questions, numbers, texts);
  const nlohmann::json head = {{"tokens", set.m_ids.size()}, {"examples", set.size()}, {"types", set.m_typeIds.size()},
                               {"masks", set.m_lossMask.size()}, {"answers", set.m_answers.size()}, {"offsets", set.m_offsets.size()},
                               {"question_numbers", numbers.size()}, {"question_texts", texts.size()}, {"lengths", file.statistics.lengthCounts.size()},
                               {"labels", file.labels}, {"rows", file.statistics.rows},
                               {"counted", file.statistics.examples}, {"all_tokens", file.statistics.tokens},
                               {"lost", file.statistics.tokensLost}, {"over", file.statistics.overLimit},
                               {"problems_total", file.problems.total}, {"problems", problems}};
  const std::string text = head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string length(8, '\0');
  const uint64_t headBytes = text.size();
  std::memcpy(length.data(), &headBytes, 8);
  const std::string_view parts[] = {length, text, bytesOf(set.m_ids), bytesOf(set.m_starts), bytesOf(set.m_typeIds),
                                    bytesOf(set.m_lossMask), bytesOf(set.m_classLabels), bytesOf(set.m_targets),
                                    bytesOf(set.m_rows), bytesOf(set.m_truncated), bytesOf(file.statistics.lengthCounts), bytesOf(set.m_answers),
                                    bytesOf(set.m_offsets), bytesOf(numbers), texts};
  Sha256 hash;
  for (const std::string_view part : parts) hash.update(part);
  std::error_code code;
  std::filesystem::create_directories(m_path.parent_path(), code);
  Result<AtomicFile> out = AtomicFile::create(m_path);
  // Without a cache the next run is slower, not wrong: failures to write are not the user's concern.
  if (!out || !out->write(kMagic) || !out->write(hash.hex())) return;
  for (const std::string_view part : parts)
    if (!out->write(part)) return;
  if (Result<void> done = out->commit(); !done) return;
}

}  // namespace rankscope

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
      !take(bytes, file.statistics.lengthCounts, countIn(*head, "lengths")) || !bytes.empty())
    return std::nullopt;
  bool sound = set.m_starts.front() == 0 && set.m_starts.back() == tokens &&
               (set.m_typeIds.empty() || set.m_typeIds.size() == tokens) &&
               (set.m_lossMask.empty() || set.m_lossMask.size() == tokens);
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
    sound = sound && label >= -1 && label < static_cast<int64_t>(std::max<size_t>(file.labels.size(), 1));
  if (!sound) return std::nullopt;
  return file;
}

void TokenCache::save(const PreparedFile& file) const {
  if (m_path.empty()) return;
  const TokenizedSet& set = file.set;
  nlohmann::json problems = nlohmann::json::array();
  for (const DataProblem& problem : file.problems.items) problems.push_back({problem.row, problem.line, problem.message});
  const nlohmann::json head = {{"tokens", set.m_ids.size()}, {"examples", set.size()}, {"types", set.m_typeIds.size()},
                               {"masks", set.m_lossMask.size()}, {"lengths", file.statistics.lengthCounts.size()},
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
                                    bytesOf(set.m_rows), bytesOf(set.m_truncated), bytesOf(file.statistics.lengthCounts)};
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

#include "core/text/bpe_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <queue>

#include "core/config/json_text.h"
#include "core/config/text_shown.h"
#include "core/text/unicode_text.h"

namespace rankscope {
namespace {

constexpr int32_t kTabled = 512;       // code points with an id at hand: ASCII and the alphabet of bytes
constexpr size_t kLong = 48;           // symbols from which the heap is faster than looking at all pairs
constexpr size_t kKeptScratch = 65536;

}  // namespace

PairTable::PairTable(const std::vector<BpeMerge>& merges) {
  m_slots.resize(std::bit_ceil(std::max<size_t>(16, 2 * merges.size())));
  m_mask = m_slots.size() - 1;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const uint64_t key = keyOf(merges[rank].left, merges[rank].right);
    size_t slot = hashOf(key);
    while (m_slots[slot & m_mask].key != kEmpty && m_slots[slot & m_mask].key != key) ++slot;
    // A pair that comes twice has its later rank, as in the reference.
    m_slots[slot & m_mask] = {key, {static_cast<uint32_t>(rank), merges[rank].joined}};
  }
}

BpeModel::BpeModel(Vocabulary vocabulary, const std::vector<BpeMerge>& merges, BpeOptions options)
    : m_pairs(merges), m_options(std::move(options)) {
  m_kind = "bpe";
  m_vocabulary = std::move(vocabulary);
  if (!m_options.unknown.empty()) m_unknown = m_vocabulary.find(m_options.unknown);
  if (m_options.byteFallback) m_bytes = bytePieces(m_vocabulary);
  m_characters.resize(kTabled);
  for (int32_t c = 0; c < kTabled; ++c) {
    std::string text;
    appendCharacter(text, c);
    m_characters[static_cast<size_t>(c)] = m_vocabulary.find(text);
  }
  m_whole = std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(m_vocabulary.end()));
}

void BpeModel::split(std::string_view piece, std::vector<Symbol>& symbols) const {
  symbols.clear();
  const bool affixed = !m_options.prefix.empty() || !m_options.suffix.empty();
  Symbol unknown{-1, 0, 0};  // waits for what follows
  std::string spelled;
  for (size_t at = 0; at < piece.size();) {
    const size_t begin = at;
    const int32_t c = nextCharacter(piece, at);
    int32_t id;
    std::string_view character = piece.substr(begin, at - begin);
    if (affixed) {
      spelled.assign(begin > 0 ? m_options.prefix : std::string()).append(character);
      if (at == piece.size()) spelled += m_options.suffix;
      character = spelled;
      id = m_vocabulary.find(spelled);
    } else {
      id = c < kTabled ? m_characters[static_cast<size_t>(c)] : m_vocabulary.find(character);
    }
    const auto end = static_cast<uint32_t>(at);
    if (id >= 0) {
      if (unknown.id >= 0) symbols.push_back(std::exchange(unknown, {-1, 0, 0}));
      symbols.push_back({id, static_cast<uint32_t>(begin), end});
    } else if (!m_bytes.empty() && character.size() == at - begin) {
      for (size_t i = begin; i < at; ++i)
        symbols.push_back({m_bytes[static_cast<unsigned char>(piece[i])], static_cast<uint32_t>(i), static_cast<uint32_t>(i + 1)});
    } else if (m_unknown >= 0) {
      if (unknown.id >= 0 && m_options.fuseUnknown) {
        unknown.end = end;
      } else {
        if (unknown.id >= 0) symbols.push_back(unknown);
        unknown = {m_unknown, static_cast<uint32_t>(begin), end};
      }
    }
  }
  if (unknown.id >= 0) symbols.push_back(unknown);
}

void BpeModel::merge(std::vector<Symbol>& symbols) const {
  if (symbols.size() > kLong) return mergeLong(symbols);
  if (symbols.size() < 2) return;
  PairTable::Merge pairs[kLong];
  for (size_t i = 0; i + 1 < symbols.size(); ++i) pairs[i] = m_pairs.find(symbols[i].id, symbols[i + 1].id);
  size_t count = symbols.size();
  for (;;) {
    size_t best = 0;
    uint32_t rank = UINT32_MAX;
    for (size_t i = 0; i + 1 < count; ++i)
      if (pairs[i].rank < rank) {
        rank = pairs[i].rank;
        best = i;
      }
    if (rank == UINT32_MAX) break;
    symbols[best] = {pairs[best].joined, symbols[best].begin, symbols[best + 1].end};
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --count;
    if (best > 0) pairs[best - 1] = m_pairs.find(symbols[best - 1].id, symbols[best].id);
    pairs[best] = best + 1 < count ? m_pairs.find(symbols[best].id, symbols[best + 1].id) : PairTable::Merge{};
  }
  symbols.resize(count);
}

void BpeModel::mergeLong(std::vector<Symbol>& symbols) const {
  constexpr uint32_t kNone = UINT32_MAX;
  struct Candidate {
    uint32_t rank, at;
    int32_t joined;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  struct Link {
    uint32_t before, after;
  };
  std::vector<Link> links(symbols.size());
  std::vector<Candidate> candidates;
  for (uint32_t i = 0; i < symbols.size(); ++i) {
    links[i] = {i > 0 ? i - 1 : kNone, i + 1 < symbols.size() ? i + 1 : kNone};
    if (i + 1 == symbols.size()) break;
    const PairTable::Merge pair = m_pairs.find(symbols[i].id, symbols[i + 1].id);
    if (pair.joined >= 0) candidates.push_back({pair.rank, i, pair.joined});
  }
  std::priority_queue queue(std::greater<Candidate>(), std::move(candidates));
  const auto offer = [&](uint32_t at) {
    if (at == kNone || links[at].after == kNone) return;
    const PairTable::Merge pair = m_pairs.find(symbols[at].id, symbols[links[at].after].id);
    if (pair.joined >= 0) queue.push({pair.rank, at, pair.joined});
  };
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    // Entries whose symbols were merged meanwhile no longer say what their pair would become.
    if (symbols[top.at].id < 0 || links[top.at].after == kNone) continue;
    const uint32_t next = links[top.at].after;
    if (m_pairs.find(symbols[top.at].id, symbols[next].id).joined != top.joined) continue;
    symbols[top.at] = {top.joined, symbols[top.at].begin, symbols[next].end};
    symbols[next].id = -1;
    links[top.at].after = links[next].after;
    if (links[next].after != kNone) links[links[next].after].before = top.at;
    offer(links[top.at].before);
    offer(top.at);
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.id < 0; });
}

bool BpeModel::isWhole(int32_t id, std::string_view piece) const {
  std::atomic<uint8_t>& known = m_whole[static_cast<size_t>(id)];
  if (const uint8_t answer = known.load(std::memory_order_relaxed); answer != 0) return answer == 1;
  std::vector<Symbol> symbols;
  split(piece, symbols);
  merge(symbols);
  const bool whole = symbols.size() == 1 && symbols[0].id == id && symbols[0].end == piece.size();
  known.store(whole ? 1 : 2, std::memory_order_relaxed);
  return whole;
}

void BpeModel::encode(std::string_view piece, std::vector<PieceToken>& out) const {
  const int32_t id = m_vocabulary.find(piece);
  if (id >= 0 && (m_options.ignoreMerges || isWhole(id, piece))) {
    out.push_back({id, 0, static_cast<uint32_t>(piece.size())});
    return;
  }
  thread_local std::vector<Symbol> symbols;
  split(piece, symbols);
  merge(symbols);
  for (const Symbol& symbol : symbols) out.push_back({symbol.id, symbol.begin, symbol.end});
  if (symbols.capacity() > kKeptScratch) std::vector<Symbol>().swap(symbols);
}

Result<std::vector<BpeMerge>> mergesByName(const std::vector<std::pair<std::string, std::string>>& names, const Vocabulary& vocabulary,
                                           const std::string& prefix, const std::string& where) {
  std::vector<BpeMerge> merges;
  merges.reserve(names.size());
  for (const auto& [left, right] : names) {
    const std::string_view tail = std::string_view(right).substr(right.starts_with(prefix) ? prefix.size() : 0);
    const std::string joined = left + std::string(tail);
    const BpeMerge merge{vocabulary.find(left), vocabulary.find(right), vocabulary.find(joined)};
    if (merge.left < 0 || merge.right < 0 || merge.joined < 0)
      return Error{ErrorCode::BadInput, "merge of the tokenizer does not fit its vocabulary", where,
                   fmt::format("merge {}: {} and {}", merges.size() + 1, shown(left), shown(right)),
                   "pieces of the vocabulary that join to a piece of it", kTokenizerHint};
    merges.push_back(merge);
  }
  return merges;
}

Result<std::unique_ptr<SubwordModel>> makeBpeModel(ComponentSettings& settings) {
  Vocabulary vocabulary;
  const nlohmann::json* vocab = settings.find("vocab");
  if (!vocab) return settings.unknownType("vocabulary", "vocab");
  if (Result<void> read = readVocabularyObject(*vocab, settings.where() + ".vocab", vocabulary); !read) return read.error();
  BpeOptions options;
  options.unknown = settings.text("unk_token", "");
  options.prefix = settings.text("continuing_subword_prefix", "");
  options.suffix = settings.text("end_of_word_suffix", "");
  options.fuseUnknown = settings.flag("fuse_unk", false);
  options.byteFallback = settings.flag("byte_fallback", false);
  options.ignoreMerges = settings.flag("ignore_merges", false);
  if (const nlohmann::json* dropout = settings.find("dropout"); dropout && *dropout != 0)
    settings.refuse("tokenizer drops merges at random, which this program does not", describeJson(*dropout), "dropout 0 or none");
  if (!options.unknown.empty() && vocabulary.find(options.unknown) < 0)
    settings.refuse("vocabulary lacks its unknown token", shown(options.unknown));

  std::vector<std::pair<std::string, std::string>> names;
  const nlohmann::json* list = settings.find("merges");
  if (!list || !list->is_array()) settings.refuse("merges of the tokenizer cannot be read", list ? describeJson(*list) : "nothing", "a list");
  for (size_t i = 0; settings.ok() && i < list->size(); ++i) {
    const nlohmann::json& entry = (*list)[i];
    if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      names.emplace_back(entry[0].get<std::string>(), entry[1].get<std::string>());
    } else {
      const std::string text = entry.is_string() ? entry.get<std::string>() : std::string();
      const size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        settings.refuse("merges of the tokenizer cannot be read", fmt::format("merge {}: {}", i + 1, describeJson(entry)), "two pieces");
      else
        names.emplace_back(text.substr(0, space), text.substr(space + 1));
    }
  }
  if (!settings.ok()) return settings.done().error();
  Result<std::vector<BpeMerge>> merges = mergesByName(names, vocabulary, options.prefix, settings.where() + ".merges");
  if (!merges) return merges.error();
  return std::unique_ptr<SubwordModel>(std::make_unique<BpeModel>(std::move(vocabulary), *merges, std::move(options)));
}

}  // namespace rankscope

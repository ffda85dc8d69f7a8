#include "core/text/unigram_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/config/json_text.h"

namespace rankscope {
namespace {

// What an unknown character scores below the worst piece (sentencepiece's and the tokenizers library's constant).
constexpr double kUnknownPenalty = 10.0;

struct Best {
  double score = 0;
  uint32_t begin = UINT32_MAX;  // of the last token of the best way to here
  int32_t id = -1;
};

// The tokenizers library reads a number as its digits times a power of ten, each rounded for itself; sums of scores that
// nearly tie depend on the last bit, so scores are rounded here as they are there.
double asReferenceReads(double value) {
  std::array<char, 40> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  if (error != std::errc()) return value;
  const std::string_view written(text.data(), static_cast<size_t>(end - text.data()));
  const size_t mark = written.find('e');
  if (mark == std::string_view::npos) return value;
  uint64_t digits = 0;
  int exponent = 0;
  bool fraction = false;
  for (const char c : written.substr(0, mark)) {
    fraction = fraction || c == '.';
    if (c < '0' || c > '9') continue;
    digits = digits * 10 + static_cast<uint64_t>(c - '0');
    exponent -= fraction ? 1 : 0;
  }
  int written10 = 0;
  const std::string_view power = written.substr(mark + (written[mark + 1] == '+' ? 2 : 1));
  std::from_chars(power.data(), power.data() + power.size(), written10);
  exponent += written10;
  if (exponent < -300 || exponent > 300) return value;
  const double scale = std::pow(10.0, std::abs(exponent));
  const double magnitude = exponent < 0 ? static_cast<double>(digits) / scale : static_cast<double>(digits) * scale;
  return value < 0 ? -magnitude : magnitude;
}

size_t characterBytes(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

}  // namespace

UnigramModel::UnigramModel(Vocabulary vocabulary, std::vector<double> scores, int32_t unknown, bool byteFallback)
    : m_scores(std::move(scores)) {
  m_kind = "unigram";
  m_vocabulary = std::move(vocabulary);
  m_unknown = unknown;
  m_trie = ByteTrie(m_vocabulary.all());
  if (!m_scores.empty()) m_unknownScore = *std::min_element(m_scores.begin(), m_scores.end()) - kUnknownPenalty;
  if (byteFallback) m_bytes = bytePieces(m_vocabulary);
}

void UnigramModel::encode(std::string_view piece, std::vector<PieceToken>& out) const {
  thread_local std::vector<Best> best;
  thread_local std::vector<PieceToken> backwards;
  best.assign(piece.size() + 1, {});
  for (size_t at = 0; at < piece.size();) {
    const size_t character = std::min(at + characterBytes(piece[at]), piece.size());
    const double here = best[at].score;
    const auto offer = [&](size_t end, double score, int32_t id) {
      Best& target = best[end];
      if (target.begin == UINT32_MAX || here + score > target.score) target = {here + score, static_cast<uint32_t>(at), id};
    };
    bool single = false;
    uint32_t node = m_trie.start(piece[at]);
    for (size_t end = at + 1; node != ByteTrie::kNone; ++end) {
      if (const int32_t id = m_trie.value(node); id >= 0) {
        offer(end, m_scores[static_cast<size_t>(id)], id);
        single = single || end == character;
      }
      if (end == piece.size()) break;
      node = m_trie.step(node, piece[end]);
    }
    if (!single) offer(character, m_unknownScore, -1);
    at = character;
  }
  backwards.clear();
  for (size_t end = piece.size(); end > 0;) {
    const Best& last = best[end];
    const int32_t id = last.id == m_unknown ? -1 : last.id;
    const bool joins = id < 0 && !backwards.empty() && backwards.back().id < 0;  // unknown neighbours are one token
    if (joins) backwards.back().begin = last.begin;
    else backwards.push_back({id, last.begin, static_cast<uint32_t>(end)});
    end = last.begin;
  }
  for (size_t i = backwards.size(); i-- > 0;) {
    const PieceToken& token = backwards[i];
    if (token.id >= 0) {
      out.push_back(token);
    } else if (!m_bytes.empty()) {
      for (uint32_t at = token.begin; at < token.end; ++at)
        out.push_back({m_bytes[static_cast<unsigned char>(piece[at])], at, at + 1});
    } else if (m_unknown >= 0) {
      out.push_back({m_unknown, token.begin, token.end});
    }
  }
  constexpr size_t kKept = 1 << 16;
  if (best.size() > kKept) std::vector<Best>().swap(best);
}

Result<std::unique_ptr<SubwordModel>> makeUnigramModel(ComponentSettings& settings) {
  Vocabulary vocabulary;
  std::vector<double> scores;
  const nlohmann::json* list = settings.find("vocab");
  if (!list || !list->is_array() || list->empty() || list->size() > static_cast<size_t>(kMaxTokenId))
    settings.refuse("vocabulary of the tokenizer cannot be used", list ? describeJson(*list) : "nothing", "a list of pieces with scores");
  // From the end, because a piece that comes twice has its last id.
  for (size_t i = settings.ok() ? list->size() : 0; i-- > 0;) {
    const nlohmann::json& entry = (*list)[i];
    const bool usable = entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_number() &&
                        std::isfinite(entry[1].get<double>()) && entry[0].get_ref<const std::string&>().size() <= kMaxPieceBytes;
    if (!usable) {
      settings.refuse("vocabulary of the tokenizer cannot be used", describeJson(entry), "[\"piece\", score]");
      break;
    }
    vocabulary.add(entry[0].get_ref<const std::string&>(), static_cast<int32_t>(i));
    if (scores.empty()) scores.resize(list->size());
    scores[i] = asReferenceReads(entry[1].get<double>());
  }
  int32_t unknown = -1;
  if (settings.find("unk_id")) unknown = static_cast<int32_t>(settings.number("unk_id", 0, scores.empty() ? 0 : scores.size() - 1));
  const bool byteFallback = settings.flag("byte_fallback", false);
  if (!settings.ok()) return settings.done().error();
  return std::unique_ptr<SubwordModel>(std::make_unique<UnigramModel>(std::move(vocabulary), std::move(scores), unknown, byteFallback));
}

}  // namespace rankscope

#include "core/text/tokenizer.h"

#include <algorithm>
#include <tuple>

namespace rankscope {
namespace {

bool isSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool isWordByte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

void append(Encoding& to, const Encoding& from, size_t begin, size_t end, uint8_t type) {
  to.ids.insert(to.ids.end(), from.ids.begin() + static_cast<std::ptrdiff_t>(begin), from.ids.begin() + static_cast<std::ptrdiff_t>(end));
  to.spans.insert(to.spans.end(), from.spans.begin() + static_cast<std::ptrdiff_t>(begin),
                  from.spans.begin() + static_cast<std::ptrdiff_t>(end));
  to.typeIds.insert(to.typeIds.end(), end - begin, type);
}

void append(Encoding& to, const std::vector<int32_t>& specials, size_t firstOfType, uint8_t before, uint8_t after) {
  for (size_t i = 0; i < specials.size(); ++i) {
    to.ids.push_back(specials[i]);
    to.spans.push_back({});
    to.typeIds.push_back(i < firstOfType ? before : after);
  }
}

}  // namespace

void Tokenizer::addToken(AddedToken token) {
  if (token.content.empty() || token.id < 0) return;
  for (AddedToken& known : m_added)
    if (known.content == token.content) {
      known = std::move(token);
      return;
    }
  m_vocabSize = std::max<int64_t>(m_vocabSize, int64_t{token.id} + 1);
  m_addedFirst[static_cast<unsigned char>(token.content.front())] = true;
  m_addedHasSpace = m_addedHasSpace || std::any_of(token.content.begin(), token.content.end(), isSpace) || token.lstrip || token.rstrip;
  m_added.push_back(std::move(token));
  std::stable_sort(m_added.begin(), m_added.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
}

bool Tokenizer::isSpecial(int32_t id) const {
  return std::any_of(m_added.begin(), m_added.end(), [&](const AddedToken& token) { return token.special && token.id == id; });
}

Tokenizer::Match Tokenizer::findAdded(std::string_view text, size_t from, size_t end) const {
  for (size_t at = from; at < end; ++at) {
    if (!m_addedFirst[static_cast<unsigned char>(text[at])]) continue;
    for (const AddedToken& token : m_added) {
      const size_t after = at + token.content.size();
      if (after > end || text.compare(at, token.content.size(), token.content) != 0) continue;
      if (token.singleWord && ((at > 0 && isWordByte(text[at - 1])) || (after < text.size() && isWordByte(text[after])))) continue;
      Match match{at, after, &token};
      if (token.lstrip)
        while (match.begin > from && isSpace(text[match.begin - 1])) --match.begin;
      if (token.rstrip)
        while (match.end < end && isSpace(text[match.end])) ++match.end;
      return match;
    }
  }
  return {end, end, nullptr};
}

void Tokenizer::encodePart(std::string_view text, size_t begin, size_t end, bool parseSpecial, Encoding& out) const {
  Before before = begin == 0 ? Before::Nothing : Before::Cut;
  while (begin < end) {
    const Match match = parseSpecial ? findAdded(text, begin, end) : Match{end, end, nullptr};
    if (match.begin > begin) tokenize(text.substr(begin, match.begin - begin), begin, before, out);
    if (match.token) {
      out.ids.push_back(match.token->id);
      out.spans.push_back({static_cast<uint32_t>(match.begin), static_cast<uint32_t>(match.end)});
    }
    begin = match.end;
    before = Before::AddedToken;
  }
}

std::vector<size_t> Tokenizer::cuts(std::string_view text, size_t partBytes) const {
  std::vector<size_t> result{0};
  size_t at = partBytes;
  const auto followsAdded = [&](size_t place) {
    return std::any_of(m_added.begin(), m_added.end(),
                       [&](const AddedToken& token) { return text.substr(0, place).ends_with(token.content); });
  };
  while (at < text.size() && !m_addedHasSpace) {
    if (cutsAt(text, at) && !followsAdded(at)) {
      result.push_back(at);
      at += partBytes;
    } else {
      ++at;
    }
  }
  result.push_back(text.size());
  return result;
}

Encoding Tokenizer::tokensOf(std::string_view text, bool parseSpecial) const {
  // Spans count in 32 bits; no caller comes near 4 GB in one text, and data files are cut into parts before.
  text = text.substr(0, UINT32_MAX);
  Encoding out;
  const std::vector<size_t> bounds = cuts(text);
  for (size_t i = 0; i + 1 < bounds.size(); ++i) encodePart(text, bounds[i], bounds[i + 1], parseSpecial, out);
  return out;
}

Encoding Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  Encoding tokens = tokensOf(text, options.parseSpecial);
  if (options.addSpecial) return assemble(std::move(tokens), options.maxTokens);
  if (options.maxTokens > 0 && tokens.size() > options.maxTokens) {
    tokens.ids.resize(options.maxTokens);
    tokens.spans.resize(options.maxTokens);
  }
  return tokens;
}

Encoding Tokenizer::encodePair(std::string_view a, std::string_view b, const EncodeOptions& options) const {
  Encoding first = tokensOf(a, options.parseSpecial);
  Encoding second = tokensOf(b, options.parseSpecial);
  if (options.addSpecial) return assemblePair(std::move(first), std::move(second), options.maxTokens);
  Encoding out;
  const size_t limit = options.maxTokens > 0 ? options.maxTokens : SIZE_MAX;
  const auto [keepFirst, keepSecond] = longestFirst(first.size(), second.size(), limit);
  append(out, first, 0, keepFirst, 0);
  append(out, second, 0, keepSecond, m_hasTypes ? 1 : 0);
  if (!m_hasTypes) out.typeIds.clear();
  return out;
}

Encoding Tokenizer::assemble(Encoding tokens, size_t maxTokens, size_t* lost) const {
  size_t keep = tokens.size();
  const size_t around = m_prefix.size() + m_suffix.size();
  if (maxTokens > 0) keep = std::min(keep, maxTokens > around ? maxTokens - around : 0);
  if (lost) *lost = tokens.size() - keep;
  Encoding out;
  append(out, m_prefix, 0, 0, 0);
  append(out, tokens, 0, keep, 0);
  append(out, m_suffix, 0, 0, 0);
  out.typeIds.clear();
  return out;
}

std::pair<size_t, size_t> longestFirst(size_t a, size_t b, size_t limit) {
  if (a + b <= limit) return {a, b};
  // The shorter keeps all it can: only when both are over half the room do they share it, the second with the odd one.
  size_t shorter = std::min(a, b), longer;
  if (shorter <= limit && limit - shorter >= shorter) {
    longer = limit - shorter;
  } else {
    shorter = limit / 2;
    longer = limit - shorter;
  }
  return a <= b ? std::pair{shorter, longer} : std::pair{longer, shorter};
}

Encoding Tokenizer::assemblePair(Encoding a, Encoding b, size_t maxTokens, size_t* lost) const {
  const size_t around = m_prefix.size() + m_pairMiddle.size() + m_pairSuffix.size();
  size_t keepA = a.size(), keepB = b.size();
  if (maxTokens > 0) std::tie(keepA, keepB) = longestFirst(a.size(), b.size(), maxTokens > around ? maxTokens - around : 0);
  if (lost) *lost = a.size() + b.size() - keepA - keepB;
  Encoding out;
  append(out, m_prefix, 0, 0, 0);
  append(out, a, 0, keepA, 0);
  append(out, m_pairMiddle, m_pairMiddleOfFirst, 0, 1);
  append(out, b, 0, keepB, 1);
  append(out, m_pairSuffix, 0, 1, 1);
  if (!m_hasTypes) out.typeIds.clear();
  return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skipSpecial) const {
  std::string text;
  std::vector<int32_t> plain;
  const auto flush = [&] {
    if (!plain.empty()) text += decodePlain(plain);
    plain.clear();
  };
  for (const int32_t id : ids) {
    const auto added = std::find_if(m_added.begin(), m_added.end(), [&](const AddedToken& token) { return token.id == id; });
    if (added == m_added.end()) {
      if (id >= 0 && id < m_vocabSize) plain.push_back(id);
    } else if (!added->special || !skipSpecial) {
      flush();
      text += added->content;
    }
  }
  flush();
  return text;
}

}  // namespace rankscope

#include "core/text/tokenizer.h"

#include <algorithm>
#include <tuple>

namespace rankscope {
namespace {

using Part = TokenTemplate::Part;

void append(Encoding& to, const Encoding& from, size_t count, uint8_t type) {
  const auto end = static_cast<std::ptrdiff_t>(count);
  to.ids.insert(to.ids.end(), from.ids.begin(), from.ids.begin() + end);
  to.spans.insert(to.spans.end(), from.spans.begin(), from.spans.begin() + end);
  to.typeIds.insert(to.typeIds.end(), count, type);
}

size_t specialsIn(const std::vector<TokenTemplate::Item>& items) {
  return static_cast<size_t>(std::count_if(items.begin(), items.end(), [](const auto& item) { return item.part == Part::Special; }));
}

void dropMissing(std::vector<TokenTemplate::Item>& items) {
  std::erase_if(items, [](const auto& item) { return item.part == Part::Special && item.id < 0; });
}

}  // namespace

TokenTemplate TokenTemplate::bert(int32_t cls, int32_t sep) {
  TokenTemplate result;
  result.single = {{Part::Special, 0, cls}, {Part::First, 0, -1}, {Part::Special, 0, sep}};
  result.pair = result.single;
  result.pair.insert(result.pair.end(), {{Part::Second, 1, -1}, {Part::Special, 1, sep}});
  result.hasTypes = true;
  return result;
}

TokenTemplate TokenTemplate::roberta(int32_t cls, int32_t sep) {
  TokenTemplate result;
  result.single = {{Part::Special, 0, cls}, {Part::First, 0, -1}, {Part::Special, 0, sep}};
  result.pair = result.single;
  result.pair.insert(result.pair.end(), {{Part::Special, 0, sep}, {Part::Second, 0, -1}, {Part::Special, 0, sep}});
  return result;
}

TokenTemplate TokenTemplate::around(int32_t bos, int32_t eos) {
  TokenTemplate result;
  result.single = {{Part::Special, 0, bos}, {Part::First, 0, -1}, {Part::Special, 0, eos}};
  dropMissing(result.single);
  result.pair = result.single;
  for (Item item : result.single) {
    if (item.part == Part::First) item.part = Part::Second;
    item.type = 1;
    result.pair.push_back(item);
  }
  return result;
}

void Tokenizer::addToken(AddedToken token) {
  if (!token.content.empty() && token.id >= 0) m_vocabSize = std::max<int64_t>(m_vocabSize, int64_t{token.id} + 1);
  m_added.add(std::move(token));
}

void Tokenizer::findInText(std::vector<const AddedToken*> tokens) {
  std::vector<std::string> contents;
  for (const AddedToken* token : tokens) contents.push_back(token->content);
  m_finder = AddedTokenFinder(std::move(tokens), contents);
}

void Tokenizer::setTemplate(TokenTemplate value) {
  m_template = std::move(value);
  m_prefix.clear();
  m_suffix.clear();
  std::vector<int32_t>* to = &m_prefix;
  for (const TokenTemplate::Item& item : m_template.single) {
    if (item.part == Part::Special) to->push_back(item.id);
    else to = &m_suffix;
  }
}

bool Tokenizer::isSpecial(int32_t id) const {
  const AddedToken* token = m_added.byId(id);
  return token && token->special;
}

void Tokenizer::encodePart(std::string_view text, size_t begin, size_t end, bool parseSpecial, Encoding& out) const {
  Before before = begin == 0 ? Before::Nothing : Before::Cut;
  while (begin < end) {
    AddedTokenFinder::Match match{end, end, end, end, nullptr};
    if (parseSpecial) match = m_finder.find(text, begin, end);
    if (match.begin > begin) tokenize(text.substr(begin, match.begin - begin), begin, before, parseSpecial, out);
    if (match.token) {
      out.ids.push_back(match.token->id);
      if (m_trimsAddedSpans) out.spans.push_back({static_cast<uint32_t>(match.contentBegin), static_cast<uint32_t>(match.contentEnd)});
      else out.spans.push_back({static_cast<uint32_t>(match.begin), static_cast<uint32_t>(match.end)});
    }
    begin = match.end;
    before = Before::AddedToken;
  }
}

std::vector<size_t> Tokenizer::cuts(std::string_view text, size_t partBytes) const {
  std::vector<size_t> result{0};
  for (size_t at = partBytes; at < text.size() && !m_finder.spansSpace();) {
    if (cutsAt(text, at) && !m_finder.endsAt(text, at)) {
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

Encoding Tokenizer::filled(const std::vector<TokenTemplate::Item>& items, const Encoding& a, size_t keepA, const Encoding& b,
                           size_t keepB) const {
  Encoding out;
  for (const TokenTemplate::Item& item : items) {
    if (item.part == Part::Special) {
      out.ids.push_back(item.id);
      out.spans.push_back({});
      out.typeIds.push_back(item.type);
    } else {
      append(out, item.part == Part::First ? a : b, item.part == Part::First ? keepA : keepB, item.type);
    }
  }
  if (!m_template.hasTypes || std::all_of(out.typeIds.begin(), out.typeIds.end(), [](uint8_t type) { return type == 0; }))
    out.typeIds.clear();
  return out;
}

Encoding Tokenizer::encodePair(std::string_view a, std::string_view b, const EncodeOptions& options) const {
  Encoding first = tokensOf(a, options.parseSpecial);
  Encoding second = tokensOf(b, options.parseSpecial);
  if (options.addSpecial) return assemblePair(std::move(first), std::move(second), options.maxTokens);
  const size_t limit = options.maxTokens > 0 ? options.maxTokens : SIZE_MAX;
  const auto [keepFirst, keepSecond] = longestFirst(first.size(), second.size(), limit);
  std::vector<TokenTemplate::Item> texts = m_template.pair;
  std::erase_if(texts, [](const auto& item) { return item.part == Part::Special; });
  return filled(texts, first, keepFirst, second, keepSecond);
}

Encoding Tokenizer::assemble(Encoding tokens, size_t maxTokens, size_t* lost) const {
  size_t keep = tokens.size();
  const size_t around = specialsIn(m_template.single);
  if (maxTokens > 0) keep = std::min(keep, maxTokens > around ? maxTokens - around : 0);
  if (lost) *lost = tokens.size() - keep;
  return filled(m_template.single, tokens, keep, {}, 0);
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
  const size_t around = specialsIn(m_template.pair);
  size_t keepA = a.size(), keepB = b.size();
  if (maxTokens > 0) std::tie(keepA, keepB) = longestFirst(a.size(), b.size(), maxTokens > around ? maxTokens - around : 0);
  if (lost) *lost = a.size() + b.size() - keepA - keepB;
  return filled(m_template.pair, a, keepA, b, keepB);
}

std::pair<size_t, size_t> Tokenizer::pairLayout(size_t firstTokens) const {
  size_t place = 0;
  for (const TokenTemplate::Item& item : m_template.pair) {
    if (item.part == Part::Second) break;
    place += item.part == Part::First ? firstTokens : 1;
  }
  return {specialsIn(m_template.pair), place};
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skipSpecial) const {
  std::vector<int32_t> kept;
  kept.reserve(ids.size());
  for (const int32_t id : ids)
    if (id >= 0 && id < m_vocabSize && !(skipSpecial && isSpecial(id))) kept.push_back(id);
  return decodeKept(kept);
}

}  // namespace rankscope

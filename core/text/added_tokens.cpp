#include "core/text/added_tokens.h"

#include <algorithm>

#include "core/text/unicode_text.h"

namespace rankscope {
namespace {

size_t characterBefore(std::string_view text, size_t at) {
  size_t begin = at - 1;
  while (begin > 0 && at - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0u) == 0x80u) --begin;
  return begin;
}

bool wordEndsAt(std::string_view text, size_t at) {
  if (at == 0) return false;
  size_t begin = characterBefore(text, at);
  return isWordCharacter(nextCharacter(text, begin));
}

bool wordStartsAt(std::string_view text, size_t at) {
  return at < text.size() && isWordCharacter(nextCharacter(text, at));
}

}  // namespace

void AddedTokens::add(AddedToken token) {
  if (token.content.empty() || token.id < 0) return;
  const auto [found, isNew] = m_byContent.try_emplace(token.content, m_tokens.size());
  if (isNew) {
    m_byId[token.id] = m_tokens.size();
    m_tokens.push_back(std::move(token));
    return;
  }
  AddedToken& known = m_tokens[found->second];
  if (const auto old = m_byId.find(known.id); old != m_byId.end() && old->second == found->second) m_byId.erase(old);
  m_byId[token.id] = found->second;
  known = std::move(token);
}

const AddedToken* AddedTokens::byId(int32_t id) const {
  const auto found = m_byId.find(id);
  return found == m_byId.end() ? nullptr : &m_tokens[found->second];
}

const AddedToken* AddedTokens::byContent(std::string_view content) const {
  const auto found = m_byContent.find(std::string(content));
  return found == m_byContent.end() ? nullptr : &m_tokens[found->second];
}

AddedTokenFinder::AddedTokenFinder(std::vector<const AddedToken*> tokens, const std::vector<std::string>& contents)
    : m_tokens(std::move(tokens)) {
  std::vector<std::pair<std::string_view, int32_t>> entries, reversedEntries;
  std::vector<std::string> reversed(contents.size());
  for (size_t i = 0; i < m_tokens.size(); ++i) {
    entries.emplace_back(contents[i], static_cast<int32_t>(i));
    reversed[i].assign(contents[i].rbegin(), contents[i].rend());
    reversedEntries.emplace_back(reversed[i], static_cast<int32_t>(i));
    bool other = false;
    for (size_t at = 0; at < contents[i].size();) {
      const bool white = isWhite(nextCharacter(contents[i], at));
      m_spansSpace = m_spansSpace || (white && other);
      other = other || !white;
    }
  }
  m_trie = ByteTrie(std::move(entries));
  m_reversed = ByteTrie(std::move(reversedEntries));
}

AddedTokenFinder::Match AddedTokenFinder::find(std::string_view text, size_t from, size_t end) const {
  for (size_t at = from; at < end; ++at) {
    uint32_t node = m_trie.start(text[at]);
    if (node == ByteTrie::kNone) continue;
    int32_t longest = -1;
    size_t stop = at;
    for (size_t next = at + 1;;) {
      if (m_trie.value(node) >= 0) {
        longest = m_trie.value(node);
        stop = next;
      }
      if (next >= end || (node = m_trie.step(node, text[next])) == ByteTrie::kNone) break;
      ++next;
    }
    if (longest < 0) continue;
    const AddedToken& token = *m_tokens[static_cast<size_t>(longest)];
    if (token.singleWord && (wordEndsAt(text, at) || wordStartsAt(text, stop))) {
      at = stop - 1;  // a rejected match is stepped over as a whole, as the reference does
      continue;
    }
    Match match{at, stop, at, stop, &token};
    while (token.lstrip && match.begin > from) {
      const size_t before = characterBefore(text, match.begin);
      size_t next = before;
      if (!isWhite(nextCharacter(text, next)) || next != match.begin) break;
      match.begin = std::max(before, from);
    }
    while (token.rstrip && match.end < end) {
      size_t next = match.end;
      if (!isWhite(nextCharacter(text, next))) break;
      match.end = next;
    }
    return match;
  }
  return {end, end, end, end, nullptr};
}

bool AddedTokenFinder::endsAt(std::string_view text, size_t at) const {
  if (m_reversed.empty() || at == 0) return false;
  uint32_t node = m_reversed.start(text[at - 1]);
  for (size_t before = at - 1; node != ByteTrie::kNone; --before) {
    if (m_reversed.value(node) >= 0) return true;
    if (before == 0) break;
    node = m_reversed.step(node, text[before - 1]);
  }
  return false;
}

}  // namespace rankscope

#include "core/text/wordpiece_model.h"

#include "core/config/text_shown.h"

namespace rankscope {

WordPieceModel::WordPieceModel(Vocabulary vocabulary, const std::string& unknown, const std::string& continuation, size_t maxCharacters)
    : m_maxCharacters(maxCharacters) {
  m_kind = "wordpiece";
  m_vocabulary = std::move(vocabulary);
  m_unknown = m_vocabulary.find(unknown);
  auto pieces = m_vocabulary.all();
  m_starts = ByteTrie(pieces);
  std::erase_if(pieces, [&](const auto& piece) { return !piece.first.starts_with(continuation); });
  for (auto& [piece, id] : pieces) piece.remove_prefix(continuation.size());
  m_continuations = ByteTrie(std::move(pieces));
}

void WordPieceModel::encode(std::string_view piece, std::vector<PieceToken>& out) const {
  const size_t start = out.size();
  const auto unknown = [&] {
    out.resize(start);
    if (m_unknown >= 0) out.push_back({m_unknown, 0, static_cast<uint32_t>(piece.size())});
  };
  size_t characters = 0;
  for (const char byte : piece) characters += (static_cast<unsigned char>(byte) & 0xC0u) != 0x80u;
  if (characters > m_maxCharacters) return unknown();
  for (size_t from = 0; from < piece.size();) {
    const ByteTrie& trie = from == 0 ? m_starts : m_continuations;
    int32_t id = -1;
    size_t end = from;
    uint32_t node = trie.start(piece[from]);
    for (size_t at = from + 1; node != ByteTrie::kNone; ++at) {
      if (trie.value(node) >= 0) {
        id = trie.value(node);
        end = at;
      }
      if (at == piece.size()) break;
      node = trie.step(node, piece[at]);
    }
    if (id < 0) return unknown();
    out.push_back({id, static_cast<uint32_t>(from), static_cast<uint32_t>(end)});
    from = end;
  }
}

Result<std::unique_ptr<SubwordModel>> makeWordPieceModel(ComponentSettings& settings) {
  Vocabulary vocabulary;
  const nlohmann::json* vocab = settings.find("vocab");
  if (!vocab) return settings.unknownType("vocabulary", "vocab");
  if (Result<void> read = readVocabularyObject(*vocab, settings.where(), vocabulary); !read) return read.error();
  const std::string unknown = settings.text("unk_token", "[UNK]");
  const std::string continuation = settings.text("continuing_subword_prefix", "##");
  const size_t most = settings.number("max_input_chars_per_word", 100, 1'000'000);
  if (vocabulary.find(unknown) < 0) settings.refuse("vocabulary lacks its unknown token", shown(unknown));
  return std::unique_ptr<SubwordModel>(std::make_unique<WordPieceModel>(std::move(vocabulary), unknown, continuation, most));
}

}  // namespace rankscope

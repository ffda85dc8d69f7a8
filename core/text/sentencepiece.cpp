#include "core/text/sentencepiece.h"

#include <sentencepiece_processor.h>

#include <optional>
#include <utility>

#include "core/config/files.h"
#include "core/io/sha256.h"
#include "core/config/text_shown.h"
#include "core/text/chars_map.h"
#include "core/text/tokenizer_files.h"
#include "core/text/unicode_text.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxModelBytes = 256u << 20;
constexpr size_t kRule = 4;  // characters that a rule of the normaliser reads at most
constexpr const char* kFileNames[] = {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model"};

class SentencePieceTokenizer : public Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> make(const std::string& bytes, const TokenizerConfig& config, const fs::path& file);

  std::string idToPiece(int32_t id) const override {
    if (id >= 0 && id < m_processor.GetPieceSize()) return m_processor.IdToPiece(id);
    const AddedToken* token = m_added.byId(id);
    return token ? token->content : std::string();
  }
  int32_t pieceToId(std::string_view piece) const override {
    if (const AddedToken* token = m_added.byContent(piece)) return token->id;
    const int id = m_processor.PieceToId(absl::string_view(piece.data(), piece.size()));
    return id == m_processor.unk_id() && piece != m_processor.IdToPiece(id) ? -1 : id;
  }

 protected:
  void tokenize(std::string_view text, size_t offset, Before before, bool, Encoding& out) const override;
  bool cutsAt(std::string_view text, size_t at) const override {
    // No piece holds a line feed beside other characters, so nothing merges across the first of a run of them.
    return m_cutsAtLines && text[at] == '\n' && text[at - 1] != '\n';
  }
  std::string decodeKept(std::span<const int32_t> ids) const override {
    std::string text;
    std::vector<int> plain;
    const auto flush = [&] {
      if (!plain.empty()) text += m_processor.DecodeIds(plain);
      plain.clear();
    };
    for (const int32_t id : ids) {
      if (const AddedToken* token = m_added.byId(id)) {
        flush();
        text += token->content;
      } else if (id < m_processor.GetPieceSize()) {
        plain.push_back(id);
      }
    }
    flush();
    return text;
  }

 private:
  void encodePlain(std::string_view text, size_t offset, bool bare, Encoding& out) const;
  std::vector<size_t> places(std::string_view text) const;
  bool wordsMeetAt(std::string_view text, size_t at) const;
  Result<void> arrange(const TokenizerConfig& config, const fs::path& file);
  int32_t pieceId(const std::string& piece, const TokenizerConfig& config) const;
  // Adds the token as special and gives its id, -1 when the vocabulary lacks it.
  int32_t special(const std::string& piece, const TokenizerConfig& config);

  sentencepiece::SentencePieceProcessor m_processor;
  // The same model without the leading space: for text behind a cut, and behind special tokens when not legacy.
  sentencepiece::SentencePieceProcessor m_bare;
  bool m_legacy = true;         // LlamaTokenizer's older way: every stretch of text gets a leading space
  bool m_leadingSpace = true;   // add_prefix_space
  bool m_cutsAtLines = false;
  bool m_cutsAtWords = false;  // no piece reaches from one word into the next
  std::vector<bool> m_known;  // code points that occur in some piece
  std::unique_ptr<CharsMap> m_rules;
};

// A blank between two plain characters, where a cut leaves the pieces of both sides as they are.
bool SentencePieceTokenizer::wordsMeetAt(std::string_view text, size_t at) const {
  const auto plain = [&](size_t place) { return text[place] > ' ' && text[place] < 0x7F; };
  if (text[at] != ' ' || at == 0 || at + 1 >= text.size() || !plain(at - 1) || !plain(at + 1)) return false;
  for (size_t from = at - std::min<size_t>(at, kRule - 1); m_rules && from <= at; ++from)
    if (m_rules->shortest(text.substr(from))) return false;
  return true;
}

// Where a long text is cut for the library, first place and end included.
// - Between words: the library sums a path's scores in float32 from the text's beginning, and behind thousands of tokens
//   the sum's rounding, not the scores, would choose between segmentations (which versions of it then do differently).
// - In a run of characters that no piece, no composition and no rule of the normaliser knows, where tokens end in any
//   case: the library gathers such a run by copying it for each, which takes hours for megabytes.
std::vector<size_t> SentencePieceTokenizer::places(std::string_view text) const {
  constexpr size_t kWords = 1 << 8, kPart = 1 << 15;
  std::vector<size_t> places{0};
  size_t unknown = 0;
  for (size_t at = 0; at < text.size() && (m_cutsAtWords || text.size() > 2 * kPart);) {
    const size_t begin = at;
    const int32_t c = nextCharacter(text, at);
    const bool foreign = c >= 0x80 && !m_known[static_cast<size_t>(c)] && isInert(c) && !(m_rules && m_rules->shortest(text.substr(begin)));
    unknown = foreign ? unknown + 1 : 0;
    const size_t length = begin - places.back();
    if ((unknown > kRule && length >= kPart) || (m_cutsAtWords && length >= kWords && wordsMeetAt(text, begin)))
      places.push_back(begin);
  }
  places.push_back(text.size());
  return places;
}

void SentencePieceTokenizer::tokenize(std::string_view text, size_t offset, Before before, bool, Encoding& out) const {
  if (!isValidUtf8(text)) {
    // The library would make one U+FFFD of each byte.
    const TracedText traced(text, 0);
    const size_t start = out.ids.size();
    tokenize(traced.text(), 0, before, false, out);
    for (size_t i = start; i < out.spans.size(); ++i) {
      const TextSpan source = traced.source(out.spans[i].begin, out.spans[i].end);
      out.spans[i] = {static_cast<uint32_t>(source.begin + offset), static_cast<uint32_t>(source.end + offset)};
    }
    return;
  }
  bool bare = before == Before::Cut || (before == Before::AddedToken && !m_legacy) || !m_leadingSpace;
  const std::vector<size_t> parts = places(text);
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const size_t seam = out.ids.size();
    // The library drops the blank in front of a text and puts one of its own there.
    const bool word = i > 0 && text[parts[i]] == ' ';
    encodePlain(text.substr(parts[i], parts[i + 1] - parts[i]), offset + parts[i], bare && !word, out);
    if (word && seam < out.spans.size()) out.spans[seam].begin = static_cast<uint32_t>(offset + parts[i]);
    bare = true;
    // One run of unknown characters is one token.
    if (i > 0 && seam > 0 && seam < out.ids.size() && out.ids[seam] == m_processor.unk_id() && out.ids[seam - 1] == out.ids[seam]) {
      out.spans[seam - 1].end = out.spans[seam].end;
      out.ids.erase(out.ids.begin() + static_cast<std::ptrdiff_t>(seam));
      out.spans.erase(out.spans.begin() + static_cast<std::ptrdiff_t>(seam));
    }
  }
}

void SentencePieceTokenizer::encodePlain(std::string_view text, size_t offset, bool bare, Encoding& out) const {
  const sentencepiece::ImmutableSentencePieceText pieces =
      (bare ? m_bare : m_processor).EncodeAsImmutableProto(absl::string_view(text.data(), text.size()));
  const size_t start = out.ids.size();
  const size_t count = pieces.pieces_size();
  for (size_t i = 0; i < count; ++i) {
    const auto piece = pieces.pieces(static_cast<int>(i));
    out.ids.push_back(static_cast<int32_t>(piece.id()));
    out.spans.push_back({static_cast<uint32_t>(offset + piece.begin()), static_cast<uint32_t>(offset + piece.end())});
  }
  // A character spelled in byte pieces has its whole span on the last of them; give each byte its own.
  for (size_t i = out.ids.size(); i-- > start;) {
    const TextSpan span = out.spans[i];
    const size_t bytes = span.end - span.begin;
    if (bytes < 2 || i + 1 < start + bytes || !m_processor.IsByte(out.ids[i])) continue;
    for (size_t k = 0; k < bytes; ++k)
      out.spans[i + 1 - bytes + k] = {static_cast<uint32_t>(span.begin + k), static_cast<uint32_t>(span.begin + k + 1)};
    i -= bytes - 1;
  }
}

int32_t SentencePieceTokenizer::pieceId(const std::string& piece, const TokenizerConfig& config) const {
  for (const AddedToken& added : config.added)
    if (added.content == piece) return added.id;
  const int id = m_processor.PieceToId(piece);
  return m_processor.IdToPiece(id) == piece ? id : -1;
}

int32_t SentencePieceTokenizer::special(const std::string& piece, const TokenizerConfig& config) {
  const int32_t id = piece.empty() ? -1 : pieceId(piece, config);
  if (id < 0) return -1;
  if (const AddedToken* known = m_added.byContent(piece)) return known->id;
  addToken({piece, id, true, false, false, false, false});
  return id;
}

Result<void> SentencePieceTokenizer::arrange(const TokenizerConfig& config, const fs::path& file) {
  if (config.tokenizerClass.starts_with("XLMRoberta") || config.tokenizerClass.starts_with("Camembert"))
    return Error{ErrorCode::BadInput, "tokenizer numbers its pieces in a way of its own", file.string(),
                 config.tokenizerClass, "LlamaTokenizer, T5Tokenizer, AlbertTokenizer or DebertaV2Tokenizer",
                 "Choose a model with one of these tokenizers."};
  for (const AddedToken& added : config.added) addToken(added);
  const auto named = [&](const char* key, int id, const char* usual) {
    if (const std::optional<std::string> text = config.token(key)) return special(*text, config);
    return special(id >= 0 ? m_processor.IdToPiece(id) : std::string(usual), config);
  };
  m_special.unk = named("unk_token", m_processor.unk_id(), "<unk>");
  m_special.bos = named("bos_token", m_processor.bos_id(), "<s>");
  m_special.eos = named("eos_token", m_processor.eos_id(), "</s>");
  m_special.pad = named("pad_token", m_processor.pad_id(), "<pad>");
  m_special.cls = named("cls_token", -1, "[CLS]");
  m_special.sep = named("sep_token", -1, "[SEP]");
  m_special.mask = named("mask_token", -1, "[MASK]");

  if (config.tokenizerClass.starts_with("T5")) {
    setTemplate(TokenTemplate::around(-1, m_special.eos));
  } else if (m_special.cls >= 0 && m_special.sep >= 0) {
    setTemplate(TokenTemplate::bert(m_special.cls, m_special.sep));
  } else {
    setTemplate(TokenTemplate::around(config.flag("add_bos_token", true) ? m_special.bos : -1,
                                      config.flag("add_eos_token", false) ? m_special.eos : -1));
    m_legacy = config.flag("legacy", true);
    m_leadingSpace = config.flag("add_prefix_space", true);
  }
  std::vector<const AddedToken*> inText;
  for (const AddedToken& token : m_added.all()) inText.push_back(&token);
  findInText(std::move(inText));
  return {};
}

Result<std::unique_ptr<Tokenizer>> SentencePieceTokenizer::make(const std::string& bytes, const TokenizerConfig& config,
                                                                const fs::path& file) {
  Result<SentencePieceFacts> facts = checkSentencePieceModel(bytes, file.string());
  if (!facts) return facts.error();
  std::unique_ptr<SentencePieceTokenizer> tokenizer(new SentencePieceTokenizer);
  const auto refused = [&](const std::string& why) {
    return Error{ErrorCode::BadInput, "SentencePiece model cannot be used", file.string(), shown(why, 200), "",
                 "Fetch tokenizer.model again."};
  };
  // Protocol buffers merge a repeated message into the one before: normalizer_spec { add_dummy_prefix: false }.
  const std::string bare = bytes + std::string("\x1a\x02\x18\x00", 4);
  try {  // its search tree reports by exception
    if (const auto status = tokenizer->m_processor.LoadFromSerializedProto(bytes); !status.ok()) return refused(status.ToString());
    if (const auto status = tokenizer->m_bare.LoadFromSerializedProto(bare); !status.ok()) return refused(status.ToString());
  } catch (const std::exception& problem) {
    return refused(problem.what());
  }
  const sentencepiece::SentencePieceProcessor& processor = tokenizer->m_processor;
  if (processor.unk_id() < 0 || processor.unk_id() >= processor.GetPieceSize()) return refused("no unknown piece");

  tokenizer->m_kind = "sentencepiece";
  tokenizer->m_vocabSize = processor.GetPieceSize();
  // A normaliser that replaces characters or trims spaces sees a part's ends otherwise than the whole's middle.
  tokenizer->m_cutsAtLines = !facts->changesText && processor.EncodeAsIds("a ") != processor.EncodeAsIds("a");
  const auto joined = [&](const char* first, const char* second) {
    std::vector<int> ids = processor.EncodeAsIds(first);
    for (const int id : processor.EncodeAsIds(second)) ids.push_back(id);
    return ids;
  };
  tokenizer->m_cutsAtWords = processor.EncodeAsIds("a b") == joined("a", " b") && processor.EncodeAsIds("a  b") == joined("a ", "b");
  if (!facts->charsMap.empty()) tokenizer->m_rules = std::make_unique<CharsMap>(std::move(facts->charsMap));
  tokenizer->m_known.resize(0x110000);
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    const std::string& piece = processor.IdToPiece(id);
    if (piece.find('\n') != std::string::npos && piece.find_first_not_of('\n') != std::string::npos)
      tokenizer->m_cutsAtLines = false;
    constexpr std::string_view kBlank = "\u2581";
    if (piece.find(' ') != std::string::npos || piece.find(kBlank, 1) != std::string::npos) tokenizer->m_cutsAtWords = false;
    for (size_t at = 0; at < piece.size();) tokenizer->m_known[static_cast<size_t>(nextCharacter(piece, at))] = true;
  }
  if (Result<void> done = tokenizer->arrange(config, file); !done) return done.error();
  Sha256 hash;
  hash.updateField("sentencepiece 2");
  hash.updateField(bytes);
  hash.updateField(config.bytes);
  tokenizer->m_contentHash = hash.hex();
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

fs::path modelFile(const fs::path& folder) {
  std::error_code code;
  for (const char* name : kFileNames)
    if (fs::is_regular_file(folder / name, code)) return folder / name;
  return {};
}

}  // namespace

bool isSentencePieceFolder(const fs::path& folder) { return !modelFile(folder).empty(); }

Result<std::unique_ptr<Tokenizer>> loadSentencePiece(const fs::path& path) {
  std::error_code code;
  const fs::path file = fs::is_directory(path, code) ? modelFile(path) : path;
  if (file.empty())
    return Error{ErrorCode::BadInput, "no SentencePiece model in the folder", path.string(), "", "tokenizer.model",
                 "Fetch tokenizer.model into this folder."};
  Result<std::string> bytes = readFileBounded(file, kMaxModelBytes);
  if (!bytes) return bytes.error();
  Result<TokenizerConfig> config = TokenizerConfig::read(file.parent_path());
  if (!config) return config.error();
  return SentencePieceTokenizer::make(*bytes, *config, file);
}

Result<std::unique_ptr<Tokenizer>> sentencePieceFrom(const std::string& bytes, const TokenizerConfig& config, const fs::path& file) {
  return SentencePieceTokenizer::make(bytes, config, file);
}

}  // namespace rankscope

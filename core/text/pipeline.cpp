#include "core/text/pipeline.h"

#include <algorithm>
#include <cstdlib>

#include "core/io/sha256.h"
#include "core/text/byte_level.h"

namespace rankscope {
namespace {

bool isAsciiWord(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool isAsciiWhite(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

class PipelineTokenizer : public Tokenizer {
 public:
  PipelineTokenizer(PipelineParts parts, const TokenizerConfig& config, const UsualSpecials& usual, std::string_view content)
      : m_parts(std::move(parts)) {
    m_kind = m_parts.model->kind();
    m_vocabSize = m_parts.model->vocabulary().end();
    addTokens(config, usual);
    arrangeFinders();
    PostProcessor& post = m_parts.postProcessor;
    if (post.tokens.hasTypes) post.tokens.hasTypes = wantsTypes(config);
    setTemplate(post.tokens);
    m_trimsAddedSpans = post.trimSpans;
    CutPlaces cuts;
    if (m_parts.normalizer) cuts = cuts & m_parts.normalizer->cuts();
    if (m_parts.preTokenizer) cuts = cuts & m_parts.preTokenizer->cuts();
    m_cutsWords = !m_neverCuts && cuts.words && m_parts.preTokenizer && m_parts.preTokenizer->separatesWords();
    m_cutsLines = !m_neverCuts && cuts.lines && m_parts.model->separatesLines();
    Sha256 hash;
    hash.updateField("pipeline 1");
    hash.updateField(content);
    hash.updateField(config.bytes);
    m_contentHash = hash.hex();
  }

  std::string idToPiece(int32_t id) const override {
    if (const AddedToken* token = m_added.byId(id)) return token->content;
    return std::string(m_parts.model->vocabulary().piece(id));
  }
  int32_t pieceToId(std::string_view piece) const override {
    if (const AddedToken* token = m_added.byContent(piece)) return token->id;
    return m_parts.model->vocabulary().find(piece);
  }

 protected:
  void tokenize(std::string_view text, size_t offset, Before before, bool parseAdded, Encoding& out) const override {
    TracedText traced(text, offset);
    if (m_parts.normalizer) m_parts.normalizer->apply(traced, before);
    if (!parseAdded || m_normalizedFinder.empty()) return encodeStretch(traced, before, out);
    const std::string_view normalized = traced.text();
    for (size_t at = 0; at < normalized.size();) {
      const AddedTokenFinder::Match match = m_normalizedFinder.find(normalized, at, normalized.size());
      if (match.begin > at) {
        TracedText stretch = traced.slice(at, match.begin);
        encodeStretch(stretch, before, out);
      }
      if (match.token) {
        out.ids.push_back(match.token->id);
        out.spans.push_back(m_trimsAddedSpans ? traced.source(match.contentBegin, match.contentEnd) : traced.source(match.begin, match.end));
      }
      at = match.end;
      before = Before::AddedToken;
    }
  }

  bool cutsAt(std::string_view text, size_t at) const override {
    if (m_cutsWords && text[at] == ' ' && isAsciiWord(text[at - 1])) return true;
    return m_cutsLines && text[at] == '\n' && !isAsciiWhite(text[at - 1]);
  }

  std::string decodeKept(std::span<const int32_t> ids) const override {
    std::vector<std::string> pieces;
    for (const int32_t id : ids)
      if (m_added.byId(id) || m_parts.model->vocabulary().has(id)) pieces.push_back(idToPiece(id));
    if (m_parts.decoder) {
      m_parts.decoder->apply(pieces);
    } else {
      for (size_t i = 1; i < pieces.size(); ++i) pieces[i].insert(0, " ");
    }
    std::string text;
    for (const std::string& piece : pieces) text += piece;
    return m_parts.cleanUp ? cleanedUp(std::move(text)) : text;
  }

 private:
  void addTokens(const TokenizerConfig& config, const UsualSpecials& usual) {
    for (const AddedToken& token : m_parts.added) addToken(token);
    for (const AddedToken& token : config.added)
      if (const AddedToken* known = m_added.byContent(token.content); !known || known->id == token.id) addToken(token);
    const auto special = [&](const char* key, const std::vector<std::string>& names) {
      const int32_t id = specialId(m_parts, config, key, names);
      if (id >= 0 && !m_added.byId(id)) addToken({idToPiece(id), id, true, false, false, false, false});
      return id;
    };
    m_special.unk = special("unk_token", usual.unk);
    if (m_special.unk < 0) m_special.unk = m_parts.model->unknown();
    m_special.bos = special("bos_token", usual.bos);
    m_special.eos = special("eos_token", usual.eos);
    m_special.pad = special("pad_token", usual.pad);
    m_special.cls = special("cls_token", usual.cls);
    m_special.sep = special("sep_token", usual.sep);
    m_special.mask = special("mask_token", usual.mask);
  }

  void arrangeFinders() {
    std::vector<const AddedToken*> raw, normalized;
    std::vector<std::string> contents;
    bool trims = false;
    for (const AddedToken& token : m_added.all()) {
      if (!token.normalized || !m_parts.normalizer) {
        raw.push_back(&token);
        continue;
      }
      TracedText content(token.content, 0);
      m_parts.normalizer->apply(content, Before::Nothing);
      if (content.text().empty()) continue;
      normalized.push_back(&token);
      contents.emplace_back(content.text());
      trims = trims || token.rstrip;
    }
    findInText(std::move(raw));
    m_normalizedFinder = AddedTokenFinder(std::move(normalized), contents);
    // A cut may not fall into or behind such a token.
    m_neverCuts = trims || m_normalizedFinder.spansSpace();
  }

  // Types are for models that know of them: as the folder says, else for all but BPE's.
  bool wantsTypes(const TokenizerConfig& config) const {
    const auto names = config.json.find("model_input_names");
    if (names != config.json.end() && names->is_array())
      return std::find(names->begin(), names->end(), "token_type_ids") != names->end();
    return m_kind != "bpe";
  }

  void encodeStretch(TracedText& traced, Before before, Encoding& out) const {
    TextPieces pieces{traced, {}, before};
    if (!traced.text().empty()) pieces.ranges.push_back({0, traced.text().size()});
    if (m_parts.preTokenizer) m_parts.preTokenizer->apply(pieces);
    const std::string_view text = traced.text();
    std::vector<PieceToken> tokens;
    out.ids.reserve(out.ids.size() + text.size() / 4);
    out.spans.reserve(out.ids.capacity());
    for (const ByteRange& range : pieces.ranges) {
      const std::string_view piece = text.substr(range.begin, range.end - range.begin);
      tokens.clear();
      m_parts.model->encode(piece, tokens);
      for (const PieceToken& token : tokens) {
        TextSpan span = traced.source(range.begin + token.begin, range.begin + token.end);
        if (m_parts.postProcessor.trimSpans) trim(piece.substr(token.begin, token.end - token.begin), span);
        out.ids.push_back(token.id);
        out.spans.push_back(span);
      }
    }
  }

  // As the reference does it: a single blank at the very beginning counts as the one that was put there.
  void trim(std::string_view token, TextSpan& span) const {
    const std::string_view blank = byteLevelCharacter(' ');
    uint32_t leading = 0, trailing = 0;
    while (token.substr(leading * blank.size()).starts_with(blank)) ++leading;
    while (trailing * blank.size() < token.size() && token.substr(0, token.size() - trailing * blank.size()).ends_with(blank)) ++trailing;
    if (span.begin == 0 && m_parts.postProcessor.prefixSpace && leading == 1) {
      if (token.size() == blank.size()) span.end = span.begin;
      leading = 0;
    }
    span.begin = std::min(span.begin + leading, span.end);
    if (span.end >= trailing) span.end = std::max(span.end - trailing, span.begin);
  }

  PipelineParts m_parts;
  AddedTokenFinder m_normalizedFinder;
  bool m_neverCuts = false, m_cutsWords = false, m_cutsLines = false;
};

template <typename Part>
std::unique_ptr<Part> expectMade(Result<std::unique_ptr<Part>> made) {
  if (!made) std::abort();
  return std::move(*made);
}

}  // namespace

std::unique_ptr<Normalizer> builtInNormalizer(const nlohmann::json& json) { return expectMade(makeNormalizer(json, "built in")); }
std::unique_ptr<PreTokenizer> builtInPreTokenizer(const nlohmann::json& json) { return expectMade(makePreTokenizer(json, "built in")); }
std::unique_ptr<TokenDecoder> builtInDecoder(const nlohmann::json& json) { return expectMade(makeTokenDecoder(json, "built in")); }

int32_t specialId(const PipelineParts& parts, const TokenizerConfig& config, const char* key, const std::vector<std::string>& usual) {
  const auto idOf = [&](const std::string& content) {
    for (const auto* tokens : {&parts.added, &config.added})
      for (const AddedToken& token : *tokens)
        if (token.content == content) return token.id;
    return parts.model->vocabulary().find(content);
  };
  if (const std::optional<std::string> name = config.token(key)) return idOf(*name);
  for (const std::string& name : usual)
    if (const int32_t id = idOf(name); id >= 0) return id;
  return -1;
}

std::unique_ptr<Tokenizer> makePipeline(PipelineParts parts, const TokenizerConfig& config, const UsualSpecials& usual,
                                        std::string_view content) {
  return std::make_unique<PipelineTokenizer>(std::move(parts), config, usual, content);
}

}  // namespace rankscope

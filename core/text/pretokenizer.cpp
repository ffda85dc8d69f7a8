#include "core/text/pretokenizer.h"

#include <algorithm>

#include "core/config/text_shown.h"
#include "core/text/byte_level.h"
#include "core/text/component_settings.h"
#include "core/text/split_text.h"
#include "core/text/unicode_text.h"

namespace rankscope {
namespace {

using Made = Result<std::unique_ptr<PreTokenizer>>;

// Expressions of which it is known that no match goes from an ASCII letter or digit to a following blank: GPT-2's, Llama
// 3's (and GPT-4's), Qwen 2's.
bool expressionSeparatesWords(const std::string& expression) {
  static const std::string kContractions[] = {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|", "'(?i:[sdmt]|ll|ve|re)|"};
  static const std::string kRest[] = {
      R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
  };
  if (expression == kGpt2Words) return true;
  for (const std::string& head : kContractions)
    for (const std::string& rest : kRest)
      if (expression == head + rest) return true;
  return false;
}

class BertPreTokenizer : public PreTokenizer {
 public:
  void apply(TextPieces& pieces) const override {
    splitAt(pieces, isWhite, Delimiter::Removed);
    splitAt(pieces, isPunctuationCharacter, Delimiter::Isolated);
  }
  bool separatesWords() const override { return true; }
};

class WhitespaceSplit : public PreTokenizer {
 public:
  void apply(TextPieces& pieces) const override { splitAt(pieces, isWhite, Delimiter::Removed); }
  bool separatesWords() const override { return true; }
};

// Runs of letters and digits, and runs of what is neither that nor white space.
class Whitespace : public PreTokenizer {
 public:
  void apply(TextPieces& pieces) const override {
    enum class Kind { White, Word, Other };
    const std::string_view text = pieces.text.text();
    std::vector<ByteRange> out;
    for (const ByteRange& range : pieces.ranges) {
      Kind current = Kind::White;
      for (size_t at = range.begin; at < range.end;) {
        const size_t begin = at;
        const int32_t c = nextCharacter(text, at);
        const Kind kind = isWordCharacter(c) ? Kind::Word : isWhite(c) ? Kind::White : Kind::Other;
        if (kind != Kind::White) {
          if (kind == current) out.back().end = at;
          else out.push_back({begin, at});
        }
        current = kind;
      }
    }
    pieces.ranges = std::move(out);
  }
  bool separatesWords() const override { return true; }
};

class Punctuation : public PreTokenizer {
 public:
  explicit Punctuation(Delimiter behaviour) : m_behaviour(behaviour) {}
  void apply(TextPieces& pieces) const override { splitAt(pieces, isPunctuationCharacter, m_behaviour); }

 private:
  Delimiter m_behaviour;
};

class Digits : public PreTokenizer {
 public:
  explicit Digits(bool single) : m_behaviour(single ? Delimiter::Isolated : Delimiter::Contiguous) {}
  void apply(TextPieces& pieces) const override { splitAt(pieces, isNumericCharacter, m_behaviour); }

 private:
  Delimiter m_behaviour;
};

class Split : public PreTokenizer {
 public:
  Split(std::unique_ptr<TextPattern> pattern, Delimiter behaviour, bool inverted)
      : m_pattern(std::move(pattern)), m_behaviour(behaviour), m_inverted(inverted) {}
  void apply(TextPieces& pieces) const override { splitAt(pieces, *m_pattern, m_behaviour, m_inverted); }
  CutPlaces cuts() const override {
    if (separatesWords()) return {true, false};
    return {!m_pattern->isExpression() && m_pattern->source() == " ", false};
  }
  bool separatesWords() const override {
    if (!m_pattern->isExpression()) return m_pattern->source() == " " && m_behaviour != Delimiter::MergedWithPrevious;
    return m_behaviour == Delimiter::Isolated && expressionSeparatesWords(m_pattern->source());
  }

 private:
  std::unique_ptr<TextPattern> m_pattern;
  Delimiter m_behaviour;
  bool m_inverted;
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool prefixSpace, std::unique_ptr<TextPattern> words) : m_prefixSpace(prefixSpace), m_words(std::move(words)) {}

  void apply(TextPieces& pieces) const override {
    const std::string_view text = pieces.text.text();
    const auto lacksSpace = [&](const ByteRange& range) {
      return m_prefixSpace && text[range.begin] != ' ' && !(pieces.before == Before::Cut && range.begin == 0);
    };
    if (std::any_of(pieces.ranges.begin(), pieces.ranges.end(), lacksSpace))
      rewritePieces(pieces, [&](const ByteRange& range, Rewriter& out) {
        size_t first = range.begin;
        nextCharacter(text, first);
        if (lacksSpace(range)) out.put(" ", pieces.text.source(range.begin, first));
        out.keep(range.begin, range.end);
      });
    if (m_words) splitAt(pieces, *m_words, Delimiter::Isolated);
    const std::string_view bytes = pieces.text.text();
    rewritePieces(pieces, [&](const ByteRange& range, Rewriter& out) {
      for (size_t i = range.begin; i < range.end; ++i) out.put(byteLevelCharacter(bytes[i]), pieces.text.source(i, i + 1));
    });
  }
  CutPlaces cuts() const override { return {true, m_words == nullptr}; }
  bool separatesWords() const override { return m_words != nullptr; }

 private:
  bool m_prefixSpace;
  std::unique_ptr<TextPattern> m_words;
};

class Metaspace : public PreTokenizer {
 public:
  enum class Prepend { Always, First, Never };
  Metaspace(std::string replacement, Prepend prepend, bool split)
      : m_replacement(TextPattern::literal(std::move(replacement))), m_prepend(prepend), m_split(split) {}

  void apply(TextPieces& pieces) const override {
    const std::string_view text = pieces.text.text();
    const std::string& sign = m_replacement->source();
    rewritePieces(pieces, [&](const ByteRange& range, Rewriter& out) {
      const std::string_view piece = text.substr(range.begin, range.end - range.begin);
      size_t first = range.begin;
      nextCharacter(text, first);
      const TextSpan source = pieces.text.source(range.begin, first);
      const bool wanted = m_prepend == Prepend::Always || (m_prepend == Prepend::First && source.begin == 0);
      const bool goesOn = pieces.before == Before::Cut && range.begin == 0;
      if (wanted && !goesOn && piece.front() != ' ' && !piece.starts_with(sign)) out.put(sign, source);
      size_t kept = range.begin;
      for (size_t at = text.find(' ', kept); at < range.end; at = text.find(' ', kept)) {
        out.keep(kept, at);
        out.put(sign, pieces.text.source(at, at + 1));
        kept = at + 1;
      }
      out.keep(kept, range.end);
    });
    if (m_split) splitAt(pieces, *m_replacement, Delimiter::MergedWithNext);
  }
  bool separatesWords() const override { return m_split; }

 private:
  std::unique_ptr<TextPattern> m_replacement;
  Prepend m_prepend;
  bool m_split;
};

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> members) : m_members(std::move(members)) {}
  void apply(TextPieces& pieces) const override {
    for (const auto& member : m_members) member->apply(pieces);
  }
  CutPlaces cuts() const override {
    CutPlaces places;
    for (const auto& member : m_members) places = places & member->cuts();
    return places;
  }
  bool separatesWords() const override {
    return std::any_of(m_members.begin(), m_members.end(), [](const auto& member) { return member->separatesWords(); });
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> m_members;
};

template <typename Class, typename... Arguments>
Made made(Arguments&&... arguments) {
  return std::unique_ptr<PreTokenizer>(std::make_unique<Class>(std::forward<Arguments>(arguments)...));
}

template <typename Class>
Made plain(ComponentSettings&) {
  return made<Class>();
}

Delimiter behaviourOf(ComponentSettings& settings, const std::optional<std::string>& fallback) {
  const std::string name = settings.text("behavior", fallback);
  const std::optional<Delimiter> behaviour = delimiterNamed(name);
  if (!behaviour) settings.refuse("tokenizer splits in a way that this program does not know", shown(name));
  return behaviour.value_or(Delimiter::Isolated);
}

Made punctuation(ComponentSettings& settings) { return made<Punctuation>(behaviourOf(settings, "Isolated")); }

Made digits(ComponentSettings& settings) { return made<Digits>(settings.flag("individual_digits", false)); }

Made split(ComponentSettings& settings) {
  Result<std::unique_ptr<TextPattern>> pattern = TextPattern::read(settings, "pattern");
  if (!pattern) return pattern.error();
  const Delimiter behaviour = behaviourOf(settings, std::nullopt);
  return made<Split>(std::move(*pattern), behaviour, settings.flag("invert", false));
}

Made delimiterSplit(ComponentSettings& settings) {
  std::string delimiter = settings.text("delimiter");
  if (delimiter.empty()) settings.refuse("tokenizer splits at nothing", "an empty delimiter");
  return made<Split>(TextPattern::literal(std::move(delimiter)), Delimiter::Removed, false);
}

Made byteLevel(ComponentSettings& settings) {
  settings.ignore({"trim_offsets"});  // counts in the post-processor only
  const bool prefix = settings.flag("add_prefix_space", true);
  std::unique_ptr<TextPattern> words;
  if (settings.flag("use_regex", true)) {
    Result<std::unique_ptr<TextPattern>> pattern = TextPattern::expression(kGpt2Words, settings.where());
    if (!pattern) return pattern.error();
    words = std::move(*pattern);
  }
  return made<ByteLevel>(prefix, std::move(words));
}

Made metaspace(ComponentSettings& settings) {
  settings.ignore({"str_rep"});
  const std::string replacement = settings.text("replacement", "\u2581");
  if (replacement.empty() || replacement == " ") settings.refuse("tokenizer replaces blanks by nothing", shown(replacement));
  // Files from before 0.19 say add_prefix_space instead.
  const bool prefix = settings.flag("add_prefix_space", true);
  const std::string scheme = settings.text("prepend_scheme", prefix ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never")
    settings.refuse("tokenizer puts blanks in front in a way that this program does not know", shown(scheme), "always, first, never");
  const bool split = settings.flag("split", true);
  return made<Metaspace>(replacement,
                         scheme == "first"   ? Metaspace::Prepend::First
                         : scheme == "never" ? Metaspace::Prepend::Never
                                             : Metaspace::Prepend::Always,
                         split);
}

Made sequence(ComponentSettings& settings) {
  const Result<std::vector<const nlohmann::json*>> list = sequenceMembers(settings, "pretokenizers");
  if (!list) return list.error();
  std::vector<std::unique_ptr<PreTokenizer>> members;
  for (const nlohmann::json* json : *list) {
    Made member = makePreTokenizer(*json, settings.where());
    if (!member) return member.error();
    members.push_back(std::move(*member));
  }
  return made<SequencePreTokenizer>(std::move(members));
}

constexpr ComponentEntry<Made> kPreTokenizers[] = {
    {"BertPreTokenizer", plain<BertPreTokenizer>},
    {"Whitespace", plain<Whitespace>},
    {"WhitespaceSplit", plain<WhitespaceSplit>},
    {"Punctuation", punctuation},
    {"Digits", digits},
    {"Split", split},
    {"CharDelimiterSplit", delimiterSplit},
    {"ByteLevel", byteLevel},
    {"Metaspace", metaspace},
    {"Sequence", sequence},
};

}  // namespace

Made makePreTokenizer(const nlohmann::json& json, const std::string& where) {
  ComponentSettings settings(json, where);
  return makeComponent(settings, settings.type(), kPreTokenizers, "pre-tokenizer");
}

}  // namespace rankscope

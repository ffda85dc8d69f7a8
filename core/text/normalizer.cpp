#include "core/text/normalizer.h"

#include <unicode/uchar.h>

#include <vector>

#include "core/text/base64.h"
#include "core/text/byte_level.h"
#include "core/text/component_settings.h"
#include "core/text/text_pattern.h"
#include "core/text/unicode_text.h"

namespace rankscope {
namespace {

using Made = Result<std::unique_ptr<Normalizer>>;

// For each character that change.differs() from: change(character, source, out) puts what is to stand there.
template <typename Change>
void changeCharacters(TracedText& traced, const Change& change) {
  const std::string_view text = traced.text();
  Rewriter out(traced);
  size_t kept = 0;
  bool changed = false;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const int32_t c = nextCharacter(text, at);
    if (!change.differs(c)) continue;
    out.keep(kept, begin);
    change(c, traced.source(begin, at), out);
    kept = at;
    changed = true;
  }
  if (!changed) return;
  out.keep(kept, text.size());
  out.finish();
}

int32_t lowered(int32_t c) { return c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : u_tolower(c); }

// Per character and without context, as Rust's; only U+0130 becomes two characters.
struct Lower {
  bool differs(int32_t c) const { return lowered(c) != c || c == 0x130; }
  void operator()(int32_t c, TextSpan source, Rewriter& out) const {
    if (c != 0x130) return out.put(lowered(c), source);
    out.put('i', source);
    out.put(0x307, source);
  }
};

struct Drop {
  bool (*dropped)(int32_t);
  bool differs(int32_t c) const { return dropped(c); }
  void operator()(int32_t, TextSpan, Rewriter&) const {}
};

class LowercaseNormalizer : public Normalizer {
 public:
  void apply(TracedText& text, Before) const override { changeCharacters(text, Lower{}); }
};

class StripAccentsNormalizer : public Normalizer {
 public:
  void apply(TracedText& text, Before) const override { changeCharacters(text, Drop{isMark}); }
};

class FormNormalizer : public Normalizer {
 public:
  explicit FormNormalizer(NormalForm form) : m_form(form) {}
  void apply(TracedText& text, Before) const override { normaliseTo(m_form, text); }

 private:
  NormalForm m_form;
};

class BertNormalizer : public Normalizer {
 public:
  explicit BertNormalizer(ComponentSettings& settings)
      : m_clean(settings.flag("clean_text", true)), m_chinese(settings.flag("handle_chinese_chars", true)),
        m_lower(settings.flag("lowercase", true)), m_strip(settings.flag("strip_accents", m_lower)) {}

  void apply(TracedText& text, Before) const override {
    if (m_clean) changeCharacters(text, Clean{});
    if (m_chinese) changeCharacters(text, Chinese{});
    if (m_strip) {
      normaliseTo(NormalForm::Nfd, text);
      changeCharacters(text, Drop{isNonSpacingMark});
    }
    if (m_lower) changeCharacters(text, Lower{});
  }

 private:
  struct Clean {
    bool differs(int32_t c) const { return c == 0xFFFD || isControlCharacter(c) || (isWhite(c) && c != ' '); }
    void operator()(int32_t c, TextSpan source, Rewriter& out) const {
      if (c != 0xFFFD && !isControlCharacter(c)) out.put(' ', source);
    }
  };
  struct Chinese {
    bool differs(int32_t c) const { return c >= 0x3400 && isIdeograph(c); }
    void operator()(int32_t c, TextSpan source, Rewriter& out) const {
      out.put(' ', source);
      out.put(c, source);
      out.put(' ', source);
    }
  };
  bool m_clean, m_chinese, m_lower, m_strip;
};

// The rules that Google's neural translation added to NFKC: control characters go, odd white space becomes a blank.
class NmtNormalizer : public Normalizer {
 public:
  void apply(TracedText& text, Before) const override { changeCharacters(text, Change{}); }

 private:
  struct Change {
    static bool goes(int32_t c) {
      return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
    }
    static bool blank(int32_t c) {
      return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
             c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    }
    bool differs(int32_t c) const { return goes(c) || blank(c); }
    void operator()(int32_t c, TextSpan source, Rewriter& out) const {
      if (blank(c)) out.put(' ', source);
    }
  };
};

class ReplaceNormalizer : public Normalizer {
 public:
  ReplaceNormalizer(std::unique_ptr<TextPattern> pattern, std::string content)
      : m_pattern(std::move(pattern)), m_content(std::move(content)) {}

  void apply(TracedText& traced, Before) const override {
    const std::string_view text = traced.text();
    Rewriter out(traced);
    size_t kept = 0;
    bool changed = false;
    m_pattern->search(text, {{0, text.size()}}, [&](size_t, ByteRange match) {
      out.keep(kept, match.begin);
      size_t last = match.end;
      while (last > match.begin && (static_cast<unsigned char>(text[--last]) & 0xC0u) == 0x80u) {}
      out.put(m_content, traced.source(match.end > match.begin ? last : match.begin, match.end));
      kept = match.end;
      changed = true;
    });
    if (!changed) return;
    out.keep(kept, text.size());
    out.finish();
  }

  CutPlaces cuts() const override {
    // Runs of blanks, or a text that no cut goes through: nothing beyond a cut is looked at. Words need their blanks.
    const std::string& pattern = m_pattern->source();
    const bool runs = m_content == " " && (pattern == " {2,}" || pattern == " +");
    if (m_pattern->isExpression()) return {runs, runs};
    return {pattern.find_first_of(" \n") == std::string::npos, pattern == "\n" || pattern.find('\n') == std::string::npos};
  }

 private:
  std::unique_ptr<TextPattern> m_pattern;
  std::string m_content;
};

class PrependNormalizer : public Normalizer {
 public:
  explicit PrependNormalizer(std::string content) : m_content(std::move(content)) {}
  void apply(TracedText& traced, Before before) const override {
    const std::string_view text = traced.text();
    if (text.empty() || before == Before::Cut) return;
    size_t first = 0;
    nextCharacter(text, first);
    Rewriter out(traced);
    out.put(m_content, traced.source(0, first));
    out.keep(0, text.size());
    out.finish();
  }

 private:
  std::string m_content;
};

class StripNormalizer : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : m_left(left), m_right(right) {}
  void apply(TracedText& traced, Before) const override {
    const std::string_view text = traced.text();
    size_t begin = 0, end = 0;
    bool leading = m_left;
    for (size_t at = 0; at < text.size();) {
      const bool white = isWhite(nextCharacter(text, at));
      leading = leading && white;
      if (leading) begin = at;
      if (!white || !m_right) end = at;
    }
    end = std::max(begin, end);
    if (begin == 0 && end == text.size()) return;
    Rewriter out(traced);
    out.keep(begin, end);
    out.finish();
  }
  CutPlaces cuts() const override { return {false, false}; }

 private:
  bool m_left, m_right;
};

class ByteLevelNormalizer : public Normalizer {
 public:
  void apply(TracedText& traced, Before) const override {
    const std::string_view text = traced.text();
    Rewriter out(traced);
    for (size_t i = 0; i < text.size(); ++i) out.put(byteLevelCharacter(text[i]), traced.source(i, i + 1));
    out.finish();
  }
  CutPlaces cuts() const override { return {false, false}; }  // no blanks are left
};

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> members) : m_members(std::move(members)) {}
  void apply(TracedText& text, Before before) const override {
    for (const auto& member : m_members) member->apply(text, before);
  }
  CutPlaces cuts() const override {
    CutPlaces places;
    for (const auto& member : m_members) places = places & member->cuts();
    return places;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> m_members;
};

template <typename Class>
Made plain(ComponentSettings&) {
  return std::unique_ptr<Normalizer>(std::make_unique<Class>());
}

template <NormalForm form>
Made ofForm(ComponentSettings&) {
  return std::unique_ptr<Normalizer>(std::make_unique<FormNormalizer>(form));
}

Made bert(ComponentSettings& settings) { return std::unique_ptr<Normalizer>(std::make_unique<BertNormalizer>(settings)); }

Made replace(ComponentSettings& settings) {
  Result<std::unique_ptr<TextPattern>> pattern = TextPattern::read(settings, "pattern");
  if (!pattern) return pattern.error();
  return std::unique_ptr<Normalizer>(std::make_unique<ReplaceNormalizer>(std::move(*pattern), settings.text("content")));
}

Made prepend(ComponentSettings& settings) {
  return std::unique_ptr<Normalizer>(std::make_unique<PrependNormalizer>(settings.text("prepend")));
}

Made strip(ComponentSettings& settings) {
  const bool left = settings.flag("strip_left", true), right = settings.flag("strip_right", true);
  return std::unique_ptr<Normalizer>(std::make_unique<StripNormalizer>(left, right));
}

Made precompiled(ComponentSettings& settings) {
  std::optional<std::string> table = fromBase64(settings.text("precompiled_charsmap"));
  if (!table) settings.refuse("normalization table of the tokenizer is not base64", "");
  if (!settings.ok()) return settings.done().error();
  return makePrecompiledNormalizer(std::move(*table), settings.where());
}

Made sequence(ComponentSettings& settings) {
  const Result<std::vector<const nlohmann::json*>> list = sequenceMembers(settings, "normalizers");
  if (!list) return list.error();
  std::vector<std::unique_ptr<Normalizer>> members;
  for (const nlohmann::json* json : *list) {
    Made member = makeNormalizer(*json, settings.where());
    if (!member) return member.error();
    members.push_back(std::move(*member));
  }
  return std::unique_ptr<Normalizer>(std::make_unique<SequenceNormalizer>(std::move(members)));
}

constexpr ComponentEntry<Made> kNormalizers[] = {
    {"NFC", ofForm<NormalForm::Nfc>},
    {"NFD", ofForm<NormalForm::Nfd>},
    {"NFKC", ofForm<NormalForm::Nfkc>},
    {"NFKD", ofForm<NormalForm::Nfkd>},
    {"Lowercase", plain<LowercaseNormalizer>},
    {"StripAccents", plain<StripAccentsNormalizer>},
    {"Nmt", plain<NmtNormalizer>},
    {"ByteLevel", plain<ByteLevelNormalizer>},
    {"BertNormalizer", bert},
    {"Replace", replace},
    {"Prepend", prepend},
    {"Strip", strip},
    {"Precompiled", precompiled},
    {"Sequence", sequence},
};

}  // namespace

Result<std::unique_ptr<Normalizer>> makeNormalizer(const nlohmann::json& json, const std::string& where) {
  ComponentSettings settings(json, where);
  return makeComponent(settings, settings.type(), kNormalizers, "normalizer");
}

}  // namespace rankscope

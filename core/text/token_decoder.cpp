#include "core/text/token_decoder.h"

#include <functional>

#include "core/config/text_shown.h"
#include "core/text/byte_level.h"
#include "core/text/component_settings.h"
#include "core/text/text_pattern.h"
#include "core/text/traced_text.h"

namespace rankscope {
namespace {

using Pieces = std::vector<std::string>;
using Made = Result<std::unique_ptr<TokenDecoder>>;

class FunctionDecoder : public TokenDecoder {
 public:
  explicit FunctionDecoder(std::function<void(Pieces&)> function) : m_function(std::move(function)) {}
  void apply(Pieces& pieces) const override { m_function(pieces); }

 private:
  std::function<void(Pieces&)> m_function;
};

Made decoder(std::function<void(Pieces&)> function) {
  return std::unique_ptr<TokenDecoder>(std::make_unique<FunctionDecoder>(std::move(function)));
}

std::string joined(const Pieces& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  return text;
}

std::string replaced(const std::string& text, const std::string& what, const std::string& with) {
  std::string out;
  size_t kept = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, kept)) {
    out.append(text, kept, at - kept).append(with);
    kept = at + what.size();
  }
  return out.append(text, kept, std::string::npos);
}

Made byteLevel(ComponentSettings& settings) {
  settings.ignore({"add_prefix_space", "trim_offsets", "use_regex"});  // count in the other steps only
  return decoder([](Pieces& pieces) {
    std::string bytes;
    // A piece with a character outside the alphabet is an added token: taken as it is.
    for (const std::string& piece : pieces) bytes += fromByteLevel(piece).value_or(piece);
    pieces = {std::string(TracedText(bytes, 0).text())};
  });
}

Made wordPiece(ComponentSettings& settings) {
  const std::string prefix = settings.text("prefix", "##");
  const bool cleanup = settings.flag("cleanup", true);
  return decoder([prefix, cleanup](Pieces& pieces) {
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (i > 0) pieces[i] = pieces[i].starts_with(prefix) ? pieces[i].substr(prefix.size()) : " " + pieces[i];
      if (cleanup) pieces[i] = cleanedUp(std::move(pieces[i]));
    }
  });
}

Made metaspace(ComponentSettings& settings) {
  settings.ignore({"str_rep", "split"});
  const std::string sign = settings.text("replacement", "\u2581");
  const bool prefix = settings.flag("add_prefix_space", true);
  const bool never = settings.text("prepend_scheme", prefix ? "always" : "never") == "never";
  if (sign.empty()) settings.refuse("tokenizer replaces nothing by blanks", "an empty replacement");
  return decoder([sign, never](Pieces& pieces) {
    for (size_t i = 0; i < pieces.size(); ++i) pieces[i] = replaced(pieces[i], sign, i == 0 && !never ? "" : " ");
  });
}

Made bpe(ComponentSettings& settings) {
  const std::string suffix = settings.text("suffix", "</w>");
  if (suffix.empty()) settings.refuse("tokenizer marks ends of words by nothing", "an empty suffix");
  return decoder([suffix](Pieces& pieces) {
    for (size_t i = 0; i < pieces.size(); ++i) pieces[i] = replaced(pieces[i], suffix, i + 1 == pieces.size() ? "" : " ");
  });
}

// The byte of "<0x0A>", -1 for other pieces.
int byteOf(const std::string& piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  int value = 0;
  for (size_t i = 3; i < 5; ++i) {
    const char c = piece[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

Made byteFallback(ComponentSettings&) {
  return decoder([](Pieces& pieces) {
    Pieces out;
    std::string bytes;
    const auto flush = [&] {
      if (isValidUtf8(bytes)) {
        if (!bytes.empty()) out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), "\uFFFD");
      }
      bytes.clear();
    };
    for (std::string& piece : pieces) {
      if (const int byte = byteOf(piece); byte >= 0) {
        bytes += static_cast<char>(byte);
        continue;
      }
      flush();
      out.push_back(std::move(piece));
    }
    flush();
    pieces = std::move(out);
  });
}

Made fuse(ComponentSettings&) {
  return decoder([](Pieces& pieces) { pieces = {joined(pieces)}; });
}

Made strip(ComponentSettings& settings) {
  const std::string content = settings.text("content");
  const size_t start = settings.number("start", 0, 1 << 20), stop = settings.number("stop", 0, 1 << 20);
  if (content.empty()) settings.refuse("tokenizer strips nothing", "an empty content");
  return decoder([content, start, stop](Pieces& pieces) {
    for (std::string& piece : pieces) {
      std::string_view rest = piece;
      for (size_t i = 0; i < start && rest.starts_with(content); ++i) rest.remove_prefix(content.size());
      for (size_t i = 0; i < stop && rest.ends_with(content); ++i) rest.remove_suffix(content.size());
      piece = std::string(rest);
    }
  });
}

Made replace(ComponentSettings& settings) {
  Result<std::unique_ptr<TextPattern>> pattern = TextPattern::read(settings, "pattern");
  if (!pattern) return pattern.error();
  return decoder([shared = std::shared_ptr<TextPattern>(std::move(*pattern)), content = settings.text("content")](Pieces& pieces) {
    for (std::string& piece : pieces) {
      std::string out;
      size_t kept = 0;
      shared->search(piece, {{0, piece.size()}}, [&](size_t, ByteRange match) {
        out.append(piece, kept, match.begin - kept).append(content);
        kept = match.end;
      });
      piece = out.append(piece, kept, std::string::npos);
    }
  });
}

Made sequence(ComponentSettings& settings) {
  const Result<std::vector<const nlohmann::json*>> list = sequenceMembers(settings, "decoders");
  if (!list) return list.error();
  std::vector<std::shared_ptr<TokenDecoder>> members;
  for (const nlohmann::json* json : *list) {
    Made member = makeTokenDecoder(*json, settings.where());
    if (!member) return member.error();
    members.push_back(std::move(*member));
  }
  return decoder([members](Pieces& pieces) {
    for (const auto& member : members) member->apply(pieces);
  });
}

constexpr ComponentEntry<Made> kDecoders[] = {{"ByteLevel", byteLevel}, {"WordPiece", wordPiece}, {"Metaspace", metaspace}, {"BPEDecoder", bpe},
                 {"ByteFallback", byteFallback}, {"Fuse", fuse}, {"Strip", strip}, {"Replace", replace}, {"Sequence", sequence}};

}  // namespace

std::string cleanedUp(std::string text) {
  static constexpr std::pair<const char*, const char*> kChanges[] = {
      {" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kChanges) text = replaced(text, from, to);
  return text;
}

Made makeTokenDecoder(const nlohmann::json& json, const std::string& where) {
  ComponentSettings settings(json, where);
  return makeComponent(settings, settings.type(), kDecoders, "decoder");
}

}  // namespace rankscope

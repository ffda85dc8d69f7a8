#include "test_tokenizer.h"

#include <fmt/format.h>

namespace rankscope {
namespace {

class TestTokenizer : public Tokenizer {
 public:
  explicit TestTokenizer(bool pairs) {
    m_kind = "test";
    m_vocabSize = 1000;
    m_contentHash = pairs ? "pairs" : "plain";
    setTemplate(pairs ? TokenTemplate::bert(1, 3) : TokenTemplate::around(1, -1));
    if (pairs) {
      m_special.sep = 3;
      m_special.cls = 1;
    } else {
      m_special.bos = 1;
      m_special.eos = 2;
    }
  }
  std::string idToPiece(int32_t id) const override { return fmt::format("w{}", id - 10); }
  int32_t pieceToId(std::string_view) const override { return -1; }

 protected:
  void tokenize(std::string_view text, size_t offset, Before, bool, Encoding& out) const override {
    for (size_t at = 0; at < text.size();) {
      if (text[at] == ' ') {
        ++at;
        continue;
      }
      size_t end = at;
      if (text[at] == '\n') ++end;
      else
        while (end < text.size() && text[end] != ' ' && text[end] != '\n') ++end;
      out.ids.push_back(text[at] == '\n' ? 5 : static_cast<int32_t>(end - at) + 10);
      out.spans.push_back({static_cast<uint32_t>(offset + at), static_cast<uint32_t>(offset + end)});
      at = end;
    }
  }
  bool cutsAt(std::string_view text, size_t at) const override { return text[at] == ' '; }
  std::string decodeKept(std::span<const int32_t> ids) const override { return fmt::format("{} tokens", ids.size()); }
};

}  // namespace

std::unique_ptr<Tokenizer> makeTestTokenizer(bool pairs) { return std::make_unique<TestTokenizer>(pairs); }

}  // namespace rankscope

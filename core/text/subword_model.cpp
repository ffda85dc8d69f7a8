#include "core/text/subword_model.h"

#include <fmt/format.h>

#include "core/config/text_shown.h"
#include "core/text/bpe_model.h"
#include "core/text/unigram_model.h"
#include "core/text/wordpiece_model.h"

namespace rankscope {
namespace {

// A word is a token or unknown.
class WordLevelModel : public SubwordModel {
 public:
  static Result<std::unique_ptr<SubwordModel>> make(ComponentSettings& settings) {
    std::unique_ptr<WordLevelModel> model(new WordLevelModel);
    model->m_kind = "wordlevel";
    const nlohmann::json* vocab = settings.find("vocab");
    if (!vocab) return settings.unknownType("vocabulary", "vocab");
    if (Result<void> read = readVocabularyObject(*vocab, settings.where(), model->m_vocabulary); !read) return read.error();
    model->m_unknown = model->m_vocabulary.find(settings.text("unk_token", "<unk>"));
    return std::unique_ptr<SubwordModel>(std::move(model));
  }
  void encode(std::string_view piece, std::vector<PieceToken>& out) const override {
    const int32_t id = m_vocabulary.find(piece);
    if (id >= 0 || m_unknown >= 0) out.push_back({id >= 0 ? id : m_unknown, 0, static_cast<uint32_t>(piece.size())});
  }
};

constexpr ComponentEntry<Result<std::unique_ptr<SubwordModel>>> kModels[] = {{"BPE", makeBpeModel}, {"WordPiece", makeWordPieceModel}, {"Unigram", makeUnigramModel}, {"WordLevel", WordLevelModel::make}};

// Files from before 2020 name no type; the members tell it.
std::string typeOf(const ComponentSettings& settings, const nlohmann::json& json) {
  if (!settings.type().empty() || !json.is_object()) return settings.type();
  if (json.contains("merges")) return "BPE";
  if (json.contains("max_input_chars_per_word")) return "WordPiece";
  if (json.contains("unk_id")) return "Unigram";
  return {};
}

}  // namespace

bool SubwordModel::separatesLines() const {
  bool newline = false;
  for (const auto& [piece, id] : m_vocabulary.all()) {
    newline = newline || piece == "\n" || piece == "<0x0A>";
    if (piece.size() > 1 && piece.find('\n') != std::string_view::npos) return false;
    if (piece.size() > 6 && piece.find("<0x0A>") != std::string_view::npos) return false;
  }
  return newline;  // an unknown line feed could be one with unknown neighbours
}

Result<std::unique_ptr<SubwordModel>> makeSubwordModel(const nlohmann::json& json, const std::string& where) {
  ComponentSettings settings(json, where);
  return makeComponent(settings, typeOf(settings, json), kModels, "model");
}

Result<void> readVocabularyObject(const nlohmann::json& json, const std::string& where, Vocabulary& out) {
  const auto bad = [&](const std::string& found) {
    return Error{ErrorCode::BadInput, "vocabulary of the tokenizer cannot be used", where, found,
                 fmt::format("pieces with ids 0 … {}", kMaxTokenId), kTokenizerHint};
  };
  if (!json.is_object()) return bad(json.type_name());
  for (const auto& [piece, id] : json.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId)) return bad("an id that is no id of " + shown(piece));
    if (piece.size() > kMaxPieceBytes) return bad("a piece of " + std::to_string(piece.size()) + " bytes");
    if (out.has(id.get<int32_t>())) return bad(fmt::format("id {} twice, for {} and {}", id.get<int32_t>(), shown(out.piece(id.get<int32_t>())), shown(piece)));
    out.add(piece, id.get<int32_t>());
  }
  return {};
}

std::vector<int32_t> bytePieces(const Vocabulary& vocabulary) {
  std::vector<int32_t> ids;
  for (int byte = 0; byte < 256; ++byte) {
    ids.push_back(vocabulary.find(fmt::format("<0x{:02X}>", byte)));
    if (ids.back() < 0) return {};
  }
  return ids;
}

}  // namespace rankscope

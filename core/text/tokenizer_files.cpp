#include "core/text/tokenizer_files.h"

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxConfigBytes = 32u << 20;

std::optional<std::string> tokenText(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object())
    if (const auto content = value.find("content"); content != value.end() && content->is_string())
      return content->get<std::string>();
  return std::nullopt;
}

bool flagOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

// Reads folder/name into `out` (an object) when it exists.
Result<void> readObject(const fs::path& folder, const char* name, nlohmann::json& out, std::string& bytes) {
  std::error_code code;
  const fs::path path = folder / name;
  if (!fs::is_regular_file(path, code)) return {};
  Result<std::string> text = readFileBounded(path, kMaxConfigBytes);
  if (!text) return text.error();
  JsonLimits limits;
  limits.maxBytes = kMaxConfigBytes;
  Result<nlohmann::json> document = parseJson(*text, path.string(), limits);
  if (!document) return document.error();
  if (!document->is_object())
    return Error{ErrorCode::BadInput, "tokenizer file is not a JSON object", path.string(), "", "", "Fetch the file again."};
  out = std::move(*document);
  bytes += *text;
  return {};
}

Error badId(const fs::path& path, const std::string& found) {
  return Error{ErrorCode::BadInput, "added token has no usable id", path.string(), found, "a whole number from 0",
               "Fetch the tokenizer's files again."};
}

}  // namespace

std::optional<std::string> TokenizerConfig::token(const std::string& key) const {
  for (const nlohmann::json* source : {&json, &m_specialMap})
    if (const auto found = source->find(key); found != source->end())
      if (std::optional<std::string> text = tokenText(*found)) return text;
  return std::nullopt;
}

bool TokenizerConfig::flag(const std::string& key, bool fallback) const {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() ? found->get<bool>() : fallback;
}

Result<TokenizerConfig> TokenizerConfig::read(const fs::path& folder) {
  TokenizerConfig config;
  nlohmann::json addedFile = nlohmann::json::object();
  if (Result<void> done = readObject(folder, "tokenizer_config.json", config.json, config.bytes); !done) return done.error();
  if (Result<void> done = readObject(folder, "special_tokens_map.json", config.m_specialMap, config.bytes); !done)
    return done.error();
  if (Result<void> done = readObject(folder, "added_tokens.json", addedFile, config.bytes); !done) return done.error();
  if (const auto name = config.json.find("tokenizer_class"); name != config.json.end() && name->is_string())
    config.tokenizerClass = name->get<std::string>();

  if (const auto decoder = config.json.find("added_tokens_decoder"); decoder != config.json.end() && decoder->is_object())
    for (const auto& [key, entry] : decoder->items()) {
      AddedToken added;
      const std::optional<std::string> content = tokenText(entry);
      const bool digits = !key.empty() && key.size() <= 8 && key.find_first_not_of("0123456789") == std::string::npos;
      if (!digits || std::stoll(key) > kMaxTokenId || !content) return badId(folder / "tokenizer_config.json", shown(key));
      added.id = static_cast<int32_t>(std::stoll(key));
      added.content = *content;
      added.special = false;
      if (entry.is_object()) {
        added.special = flagOf(entry, "special");
        added.lstrip = flagOf(entry, "lstrip");
        added.rstrip = flagOf(entry, "rstrip");
        added.singleWord = flagOf(entry, "single_word");
        added.normalized = flagOf(entry, "normalized");
      }
      config.added.push_back(std::move(added));
    }
  for (const auto& [content, id] : addedFile.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId))
      return badId(folder / "added_tokens.json", shown(content));
    bool known = false;
    for (const AddedToken& added : config.added) known = known || added.content == content;
    if (!known) config.added.push_back({content, id.get<int32_t>(), false, false, false, false, true});
  }
  return config;
}

}  // namespace rankscope

#pragma once
// What a folder's JSON files say about its tokenizer: tokenizer_config.json, special_tokens_map.json, added_tokens.json.
// Shared by the kinds of tokenizer; a value.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/text/added_tokens.h"
#include "core/text/vocabulary.h"

namespace rankscope {

struct TokenizerConfig {
  nlohmann::json json = nlohmann::json::object();  // tokenizer_config.json
  std::string tokenizerClass;
  std::vector<AddedToken> added;  // ids are set
  std::string bytes;  // of all three files: part of the content hash

  // "bos_token" and its like: a text, or an object with "content"; nullopt when absent or null.
  std::optional<std::string> token(const std::string& key) const;
  // `fallback` when absent or null.
  bool flag(const std::string& key, bool fallback) const;

  // Absent files are no error; malformed ones are.
  static Result<TokenizerConfig> read(const std::filesystem::path& folder);

 private:
  nlohmann::json m_specialMap = nlohmann::json::object();
};

}  // namespace rankscope

#pragma once
// After which tokens a model's text ends.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

namespace rankscope {

// What generation_config.json of the folder names as its end (several chat models have more than one), else what
// config.json does; and the tokenizer's own end (below 0: none). Entries that are no token ids are left out.
std::vector<int64_t> stopTokensOf(const std::filesystem::path& modelFolder, const nlohmann::json& config,
                                  int64_t tokenizerEnd);

}  // namespace rankscope

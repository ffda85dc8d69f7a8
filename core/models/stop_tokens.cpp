#include "core/models/stop_tokens.h"

#include <algorithm>

#include "core/config/json_text.h"

namespace rankscope {

namespace {

constexpr size_t kMostEnds = 64;

void collect(const nlohmann::json& config, std::vector<int64_t>& ends) {
  const auto found = config.is_object() ? config.find("eos_token_id") : config.end();
  if (!config.is_object() || found == config.end()) return;
  const auto add = [&](const nlohmann::json& id) {
    if (id.is_number_integer() && id.get<int64_t>() >= 0 && ends.size() < kMostEnds) ends.push_back(id.get<int64_t>());
  };
  if (found->is_array())
    std::for_each(found->begin(), found->end(), add);
  else
    add(*found);
}

}  // namespace

std::vector<int64_t> stopTokensOf(const std::filesystem::path& modelFolder, const nlohmann::json& config,
                                  int64_t tokenizerEnd) {
  std::vector<int64_t> ends;
  std::error_code failure;
  const auto path = modelFolder / "generation_config.json";
  if (std::filesystem::is_regular_file(path, failure))
    if (const auto generation = readJsonFile(path)) collect(*generation, ends);
  if (ends.empty()) collect(config, ends);
  if (tokenizerEnd >= 0) ends.push_back(tokenizerEnd);
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

}  // namespace rankscope

#pragma once
// Under which licence a model or adapter came, as far as its folder says: the front matter of README.md, config.json,
// or the first lines of a LICENSE file. Small bounded reads; any thread.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace rankscope {

struct Licence {
  std::string name;    // "apache-2.0", "Llama 2 Community"; "" when nothing says it
  std::string source;  // the file that says it
};
Licence licenceOf(const std::filesystem::path& folder, const nlohmann::json& config);

}  // namespace rankscope

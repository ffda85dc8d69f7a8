#include "app/trainer/model_licence.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include "core/config/files.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHeadBytes = 64 << 10;  // front matter and licence texts say what they are at the top
constexpr size_t kNameBytes = 80;

std::string headOf(const fs::path& file) {
  std::error_code code;
  if (!fs::is_regular_file(file, code)) return {};
  std::ifstream in(file, std::ios::binary);
  std::string text(kHeadBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(0, in.gcount())));
  return text;
}

std::string plain(std::string value) {
  const auto odd = [](char c) { return std::isspace(static_cast<unsigned char>(c)) || c == '"' || c == '\'' || c == '['; };
  while (!value.empty() && (odd(value.back()) || value.back() == ']')) value.pop_back();
  while (!value.empty() && odd(value.front())) value.erase(0, 1);
  return cleanUtf8(value, kNameBytes);
}

// "license: x" of the block between two lines of "---" at the top; a list gives its first entry.
std::string fromFrontMatter(const std::string& text) {
  if (text.rfind("---", 0) != 0) return {};
  std::string licence, name;
  bool listed = false;
  for (size_t at = text.find('\n'); at != std::string::npos;) {
    const size_t begin = at + 1, end = text.find('\n', begin);
    if (end == std::string::npos) break;
    const std::string line = text.substr(begin, end - begin);
    if (line.rfind("---", 0) == 0) break;
    if (listed && line.find_first_not_of(' ') != std::string::npos && line[line.find_first_not_of(' ')] == '-')
      licence = plain(line.substr(line.find('-') + 1));
    listed = false;
    if (line.rfind("license:", 0) == 0) {
      licence = plain(line.substr(8));
      listed = licence.empty();
    }
    if (line.rfind("license_name:", 0) == 0) name = plain(line.substr(13));
    at = end;
  }
  return licence == "other" && !name.empty() ? name : licence;
}

struct KnownText {
  const char *phrase, *name;  // in lower case
};
constexpr KnownText kTexts[] = {{"apache license", "apache-2.0"},
                                {"mit license", "mit"},
                                {"llama 3.3 community license", "llama3.3"},
                                {"llama 3.2 community license", "llama3.2"},
                                {"llama 3.1 community license", "llama3.1"},
                                {"llama 3 community license", "llama3"},
                                {"llama 2 community license", "llama2"},
                                {"gnu affero general public license", "agpl-3.0"},
                                {"gnu lesser general public license", "lgpl-3.0"},
                                {"gnu general public license", "gpl-3.0"},
                                {"redistribution and use in source and binary forms", "bsd"},
                                {"creative commons attribution-noncommercial", "cc-by-nc-4.0"},
                                {"creative commons attribution-sharealike", "cc-by-sa-4.0"},
                                {"creative commons attribution", "cc-by-4.0"},
                                {"qwen research license", "qwen-research"},
                                {"qwen license agreement", "qwen"},
                                {"gemma terms of use", "gemma"},
                                {"openrail", "openrail"}};

std::string fromText(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const KnownText& known : kTexts)
    if (text.find(known.phrase) != std::string::npos) return known.name;
  return {};
}

}  // namespace

Licence licenceOf(const fs::path& folder, const nlohmann::json& config) {
  if (std::string name = fromFrontMatter(headOf(folder / "README.md")); !name.empty()) return {name, "README.md"};
  if (config.is_object())
    for (const char* key : {"license", "licence"})
      if (const auto found = config.find(key); found != config.end() && found->is_string())
        if (std::string name = plain(found->get<std::string>()); !name.empty()) return {name, "config.json"};
  for (const char* file : {"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "COPYING"}) {
    const std::string text = headOf(folder / file);
    if (text.empty()) continue;
    const std::string name = fromText(text);
    return {name.empty() ? std::string("see ") + file : name, file};
  }
  return {};
}

}  // namespace rankscope

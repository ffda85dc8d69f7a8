#include "core/config/preset.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"

namespace rankscope {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr size_t kPresetsInFolder = 10000;

// A preset's name is a file name: letters, digits, "-", "_" and "." inside.
bool isPresetName(std::string_view name) {
  if (name.empty() || name.size() > 100 || name.front() == '.' || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string nameFromTitle(const std::string& title) {
  std::string name;
  for (const char c : title) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
      name += c;
    else if (c >= 'A' && c <= 'Z')
      name += static_cast<char>(c - 'A' + 'a');
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  name.resize(std::min<size_t>(name.size(), 60));
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "preset" : name;
}

void loadFolder(const fs::path& folder, bool user, PresetList& list) {
  std::error_code code;
  if (!fs::is_directory(folder, code)) return;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder, code), end; !code && it != end && files.size() < kPresetsInFolder;
       it.increment(code))
    if (it->path().extension() == ".json") files.push_back(it->path());
  if (code) list.problems.push_back(systemError(code.value(), "cannot list the presets", folder));
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    Result<Preset> preset = loadPreset(file);
    if (!preset) {
      list.problems.push_back(preset.error());
      continue;
    }
    preset->user = user;
    // The user's own preset hides the program's of the same name.
    std::erase_if(list.presets, [&](const Preset& other) { return other.name == preset->name; });
    list.presets.push_back(std::move(*preset));
  }
}

}  // namespace

const Preset* PresetList::find(std::string_view name) const {
  const auto it =
      std::find_if(presets.begin(), presets.end(), [&](const Preset& preset) { return preset.name == name; });
  return it == presets.end() ? nullptr : &*it;
}

Result<Preset> loadPreset(const fs::path& file) {
  const std::string where = pathText(file);
  Result<std::string> bytes = readFileBounded(file, limits::kConfigBytes);
  if (!bytes) return bytes.error();
  Result<json> document = parseJson(*bytes, where);
  if (!document) return document.error();
  const auto bad = [&](const std::string& key, const std::string& found, const std::string& expected) {
    return Error{ErrorCode::BadInput,
                 "the preset is malformed",
                 where + ", " + key,
                 found,
                 expected,
                 "A preset is {\"title\": \"…\", \"help\": \"…\", \"config\": {…}}."};
  };
  if (!document->is_object()) return bad("the document", describeJson(*document), "an object");
  Preset preset;
  preset.name = file.stem().string();
  preset.file = file;
  for (const auto& [key, value] : document->items()) {
    std::string* text = key == "title"  ? &preset.title
                        : key == "help" ? &preset.help
                        : key == "base" ? &preset.base
                                        : nullptr;
    if (text) {
      if (!value.is_string()) return bad(key, describeJson(value), "a text");
      *text = value.get<std::string>();
    } else if (key != "config") {
      return bad(cleanUtf8(key, 80), "an unknown key", "title, help, base or config");
    }
  }
  const auto config = document->find("config");
  if (config == document->end()) return bad("config", "nothing", "an object");
  Result<RunConfig> parsed = RunConfig::parse(*config);
  if (!parsed) {
    Error error = parsed.error();
    error.code = ErrorCode::BadInput;
    error.where = error.where.empty() ? where : where + ", " + error.where;
    return error;
  }
  preset.config = std::move(*parsed);
  if (preset.title.empty()) preset.title = preset.name;
  return preset;
}

PresetList loadPresets(const Places& places) {
  PresetList list;
  if (!places.resources.empty()) loadFolder(places.presets(), false, list);
  loadFolder(places.userPresets(), true, list);
  return list;
}

Result<Preset> findPreset(const Places& places, const std::string& name) {
  if (name.size() > 5 && name.compare(name.size() - 5, 5, ".json") == 0) {
    Result<fs::path> file = places.resolve(name);
    return file ? loadPreset(*file) : Result<Preset>(file.error());
  }
  const PresetList list = loadPresets(places);
  if (const Preset* preset = list.find(name)) return *preset;
  // A preset of this name that cannot be read is the mistake to report.
  for (const Error& problem : list.problems)
    if (problem.where.find("/" + name + ".json") != std::string::npos) return problem;
  std::vector<std::string> names;
  for (const Preset& preset : list.presets) names.push_back(preset.name);
  const std::string near = nearestText(name, names);
  return Error{ErrorCode::Usage,
               "there is no such preset",
               "--preset",
               "\"" + cleanUtf8(name, 100) + "\"",
               names.empty() ? "a preset, of which none were found" : fmt::format("{}", fmt::join(names, ", ")),
               near.empty() ? "rankscope-train presets lists them." : fmt::format("Did you mean {}?", near)};
}

Result<Preset> saveUserPreset(const Places& places, Preset preset) {
  if (preset.name.empty()) preset.name = nameFromTitle(preset.title);
  if (!isPresetName(preset.name))
    return Error{
        ErrorCode::Usage,           "not a name for a preset", "name", "\"" + cleanUtf8(preset.name, 100) + "\"",
        "letters, digits, - and _", "Choose another name."};
  if (preset.title.empty()) preset.title = preset.name;
  preset.user = true;
  preset.file = places.userPresets() / (preset.name + ".json");
  json document = {{"title", preset.title}, {"help", preset.help}, {"config", preset.config.toSparseJson()}};
  if (!preset.base.empty()) document["base"] = preset.base;
  if (Result<void> done = writeFileAtomically(preset.file, jsonText(document, 2) + '\n'); !done) return done.error();
  return preset;
}

Result<void> deleteUserPreset(const Places& places, const std::string& name) {
  if (!isPresetName(name))
    return Error{ErrorCode::Usage,         "not a name of a preset", "name", "\"" + cleanUtf8(name, 100) + "\"", "",
                 "Choose one of the list."};
  const fs::path file = places.userPresets() / (name + ".json");
  std::error_code code;
  if (fs::remove(file, code)) return {};
  return systemError(code ? code.value() : ENOENT, "cannot delete the preset", file);
}

}  // namespace rankscope

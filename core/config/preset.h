#pragma once
// Presets: named configs in resources/presets (those of the program) and <home>/presets (the user's), one JSON file
// each:
// {"title": "…", "help": "…", "base": "preset it was made from (optional)", "config": {only what is set}}.
// The name of a preset is its file name without ".json"; a user's preset hides the program's of the same name.

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/config/run_config.h"

namespace rankscope {

struct Preset {
  std::string name;  // "starter-lora"
  std::string title;
  std::string help;
  std::string base;  // name of the preset below it in the chain, "" for none
  RunConfig config;  // sparse, complete in itself: what the base sets is in it
  bool user = false;
  std::filesystem::path file;
};

struct PresetList {
  std::vector<Preset> presets;  // the program's in order of file name, then the user's
  std::vector<Error> problems;  // files that could not be read, each named
  const Preset* find(std::string_view name) const;
};

PresetList loadPresets(const Places& places);
Result<Preset> loadPreset(const std::filesystem::path& file);
// By name, or by path when it ends in ".json"; the error names the nearest preset and lists what there is.
Result<Preset> findPreset(const Places& places, const std::string& name);

// Writes <home>/presets/<name>.json atomically; `name` is made from the title when empty. Returns what was saved.
Result<Preset> saveUserPreset(const Places& places, Preset preset);
Result<void> deleteUserPreset(const Places& places, const std::string& name);

}  // namespace rankscope

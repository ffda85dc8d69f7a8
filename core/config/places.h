#pragma once
// Where things are: the user's data, caches, and the read-only resources that come with the program.
//   home       --home DIR, else $RANKSCOPE_HOME, else $XDG_DATA_HOME/rankscope (~/.local/share/rankscope)
//   cache      <home>/cache with --home or RANKSCOPE_HOME, else $XDG_CACHE_HOME/rankscope (~/.cache/rankscope)
//   resources  $RANKSCOPE_RESOURCES, else ../../../resources (build tree) or ../share/rankscope (installed) beside
//              the executable
// Finding creates nothing; ensure() makes the folders.

#include <filesystem>
#include <optional>
#include <string>

#include "core/config/result.h"

namespace rankscope {

struct Places {
  std::filesystem::path home;
  std::filesystem::path store;   // the SQLite file: <home>/store.sqlite
  std::filesystem::path runs;    // <home>/runs
  std::filesystem::path models;  // <home>/models
  std::filesystem::path cache;
  std::filesystem::path resources;  // empty when none were found

  std::filesystem::path presets() const { return resources / "presets"; }
  std::filesystem::path userPresets() const { return home / "presets"; }
  std::filesystem::path starter() const { return resources / "starter"; }

  // The option wins over the environment. Fails only when no home can be told (no --home, RANKSCOPE_HOME, HOME).
  static Result<Places> find(const std::optional<std::filesystem::path>& homeOption = std::nullopt);
  // Creates home, runs, models and cache.
  Result<void> ensure() const;

  // The file or folder that a config names: "starter:x" in resources/starter, "models:x" in the models folder, "~/x",
  // an absolute path, or a path relative to the current folder. Absolute and normalised; need not exist. A prefix
  // never leads out of its folder. Empty text gives an empty path.
  Result<std::filesystem::path> resolve(const std::string& named) const;
  // The reverse, for display and configs: "starter:x" or "models:x" when the path lies there, else the path.
  std::string nameOf(const std::filesystem::path& path) const;
};

// Folder of the running executable.
std::filesystem::path executableFolder();

}  // namespace rankscope

#include "core/config/places.h"

#include <unistd.h>

#include <cstdlib>

#include "core/config/files.h"

namespace rankscope {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kStarter = "starter:";
constexpr std::string_view kModels = "models:";

std::optional<fs::path> environmentPath(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return fs::path(value);
}

fs::path absoluteNormal(const fs::path& path) {
  std::error_code code;
  fs::path absolute = fs::absolute(path, code);
  if (code) absolute = path;
  absolute = absolute.lexically_normal();
  return absolute.has_filename() || absolute == absolute.root_path() ? absolute : absolute.parent_path();
}

fs::path findResources() {
  if (const auto given = environmentPath("RANKSCOPE_RESOURCES")) return absoluteNormal(*given);
  const fs::path beside = executableFolder();
  for (const fs::path& candidate : {beside / "../../../resources", beside / "../share/rankscope"}) {
    std::error_code code;
    if (fs::is_directory(candidate / "presets", code)) return absoluteNormal(candidate);
  }
  return {};
}

// Whether a normalised relative path stays below the folder it is joined to.
bool staysInside(const fs::path& relative) {
  return !relative.is_absolute() && (relative.empty() || *relative.begin() != "..");
}

}  // namespace

fs::path executableFolder() {
  std::error_code code;
  const fs::path self = fs::read_symlink("/proc/self/exe", code);
  return code ? fs::current_path(code) : self.parent_path();
}

Result<Places> Places::find(const std::optional<fs::path>& homeOption) {
  Places places;
  std::optional<fs::path> given = homeOption && !homeOption->empty() ? homeOption : environmentPath("RANKSCOPE_HOME");
  if (given) {
    places.home = absoluteNormal(*given);
    places.cache = places.home / "cache";
  } else {
    const std::optional<fs::path> userHome = environmentPath("HOME");
    std::optional<fs::path> data = environmentPath("XDG_DATA_HOME"), cache = environmentPath("XDG_CACHE_HOME");
    // The XDG specification: relative values are to be ignored.
    if (data && !data->is_absolute()) data.reset();
    if (cache && !cache->is_absolute()) cache.reset();
    if (!userHome && (!data || !cache))
      return Error{ErrorCode::Usage,
                   "no home folder is known",
                   "HOME",
                   "",
                   "",
                   "Give one with --home DIR, or set HOME or RANKSCOPE_HOME."};
    places.home = (data ? *data : *userHome / ".local/share") / "rankscope";
    places.cache = (cache ? *cache : *userHome / ".cache") / "rankscope";
  }
  places.store = places.home / "store.sqlite";
  places.runs = places.home / "runs";
  places.models = places.home / "models";
  places.resources = findResources();
  return places;
}

Result<void> Places::ensure() const {
  for (const fs::path& folder : {home, runs, models, cache}) {
    std::error_code code;
    fs::create_directories(folder, code);
    if (code) return systemError(code.value(), "cannot create the folder", folder);
  }
  return {};
}

Result<fs::path> Places::resolve(const std::string& named) const {
  if (named.empty()) return fs::path();
  const auto bad = [&](const char* what, const char* hint) {
    return Error{ErrorCode::BadInput, what, cleanUtf8(named, 400), "", "", hint};
  };
  if (named.find('\0') != std::string::npos) return bad("the path holds a zero byte", "Type the path again.");
  for (const bool isStarter : {true, false}) {
    const std::string_view prefix = isStarter ? kStarter : kModels;
    if (named.compare(0, prefix.size(), prefix) != 0) continue;
    if (isStarter && resources.empty())
      return bad("the program's own files were not found", "Set RANKSCOPE_RESOURCES to the folder named resources.");
    const fs::path relative = fs::path(named.substr(prefix.size())).lexically_normal();
    if (!staysInside(relative))
      return bad("the path leads out of its folder", "Give the path itself, without the prefix.");
    return absoluteNormal((isStarter ? starter() : models) / relative);
  }
  if (named == "~" || named.compare(0, 2, "~/") == 0) {
    const auto userHome = environmentPath("HOME");
    if (!userHome) return bad("no home folder is known for ~", "Write the path in full.");
    return absoluteNormal(*userHome / (named.size() > 2 ? named.substr(2) : ""));
  }
  return absoluteNormal(named);
}

std::string Places::nameOf(const fs::path& path) const {
  if (path.empty()) return {};
  const fs::path full = absoluteNormal(path);
  const auto below = [&](const fs::path& folder, std::string_view prefix) -> std::string {
    const fs::path relative = full.lexically_relative(folder);
    if (relative.empty() || relative == "." || !staysInside(relative)) return {};
    return std::string(prefix) + relative.generic_string();
  };
  if (!resources.empty())
    if (std::string name = below(absoluteNormal(starter()), kStarter); !name.empty()) return name;
  if (!models.empty())
    if (std::string name = below(absoluteNormal(models), kModels); !name.empty()) return name;
  return full.string();
}

}  // namespace rankscope

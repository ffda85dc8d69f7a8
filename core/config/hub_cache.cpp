#include "core/config/hub_cache.h"

#include <algorithm>
#include <cstdlib>

#include "core/config/files.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostSnapshots = 10000;
constexpr size_t kRefBytes = 4096;
constexpr std::string_view kPrefix = "models--";

std::optional<fs::path> variable(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return fs::path(value);
}

// "models--owner--name" -> "owner/name".
std::string repositoryOf(std::string folder) {
  folder.erase(0, kPrefix.size());
  if (const size_t cut = folder.find("--"); cut != std::string::npos) folder.replace(cut, 2, "/");
  return folder;
}

}  // namespace

std::vector<fs::path> hubCaches() {
  std::vector<fs::path> wanted, found;
  if (const auto cache = variable("HF_HUB_CACHE")) wanted.push_back(*cache);
  if (const auto home = variable("HF_HOME")) wanted.push_back(*home / "hub");
  if (const auto cache = variable("XDG_CACHE_HOME")) wanted.push_back(*cache / "huggingface" / "hub");
  if (const auto home = variable("HOME")) wanted.push_back(*home / ".cache" / "huggingface" / "hub");
  for (const fs::path& folder : wanted) {
    std::error_code code;
    if (!folder.is_absolute() || !fs::is_directory(folder, code)) continue;
    const fs::path plain = fs::weakly_canonical(folder, code);
    const fs::path& shown = code ? folder : plain;
    if (std::find(found.begin(), found.end(), shown) == found.end()) found.push_back(shown);
  }
  return found;
}

std::vector<HubSnapshot> hubSnapshots(const fs::path& cache) {
  std::vector<HubSnapshot> all;
  std::error_code code;
  for (fs::directory_iterator it(cache, code), end; !code && it != end && all.size() < kMostSnapshots;
       it.increment(code)) {
    const std::string name = pathText(it->path().filename());
    if (name.rfind(kPrefix, 0) != 0 || name.size() == kPrefix.size()) continue;
    std::string newest;
    if (Result<std::string> text = readFileBounded(it->path() / "refs" / "main", kRefBytes)) {
      newest = *text;
      newest.erase(newest.find_last_not_of(" \r\n\t") + 1);
    }
    const size_t first = all.size();
    std::error_code inner;
    for (fs::directory_iterator at(it->path() / "snapshots", inner), last; !inner && at != last; at.increment(inner)) {
      std::error_code ignored;
      if (!at->is_directory(ignored)) continue;
      const std::string revision = pathText(at->path().filename());
      all.push_back({repositoryOf(name), revision, revision == newest, at->path()});
    }
    if (all.size() == first + 1) all.back().newest = true;
  }
  std::sort(all.begin(), all.end(), [](const HubSnapshot& a, const HubSnapshot& b) { return a.folder < b.folder; });
  return all;
}

std::optional<fs::path> findHubModel(const std::string& repository) {
  for (const fs::path& cache : hubCaches())
    for (const HubSnapshot& snapshot : hubSnapshots(cache))
      if (snapshot.repository == repository && snapshot.newest) return snapshot.folder;
  return std::nullopt;
}

}  // namespace rankscope

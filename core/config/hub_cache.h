#pragma once
// Where Hugging Face's programs keep what they fetched: <cache>/models--<owner>--<name>/snapshots/<revision>/ with links
// to the files, and refs/main naming the newest revision. Only looked at, never written. Free functions, any thread.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace rankscope {

// Those that exist: $HF_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub.
std::vector<std::filesystem::path> hubCaches();

struct HubSnapshot {
  std::string repository;  // "owner/name", or "name"
  std::string revision;    // the snapshot's folder
  bool newest = false;     // what refs/main names, or the only one
  std::filesystem::path folder;
};
std::vector<HubSnapshot> hubSnapshots(const std::filesystem::path& cache);

// The newest snapshot of a repository in any cache.
std::optional<std::filesystem::path> findHubModel(const std::string& repository);

}  // namespace rankscope

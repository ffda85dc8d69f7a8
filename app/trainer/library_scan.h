#pragma once
// What models and adapters there are, by headers alone: the user's models folder, the starter, folders the user named, and
// the caches of Hugging Face's programs. For `models list`, the picker and the library; one thread.

#include <atomic>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/config/places.h"

namespace rankscope {

struct LibraryRequest {
  std::vector<std::filesystem::path> folders;  // searched three levels deep; links to folders are not followed
  bool hub = false;                            // the caches too
  bool adapters = false;                       // PEFT folders and llama.cpp's adapter files too
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(const nlohmann::json& item)> found;  // each as soon as it was read
};

// The folders that are searched when none is named: the user's models and the starter.
std::vector<std::filesystem::path> defaultModelFolders(const Places& places);

// Documents of modelSummary() and adapterSummary(), each with "origin" (models, starter, hub, folder) and "root"; what
// lies in two of the folders is listed once.
nlohmann::json scanLibrary(const LibraryRequest& request, const Places& places);

// A PEFT folder, or a file that llama.cpp loads beside its model.
bool isAdapter(const std::filesystem::path& path);
// What a list shows of an adapter; one that cannot be imported says why in "problem".
nlohmann::json adapterSummary(const std::filesystem::path& path, const Places& places);
// That, with its tensors, targets and config.
nlohmann::json describeAdapter(const std::filesystem::path& path, const Places& places);

}  // namespace rankscope

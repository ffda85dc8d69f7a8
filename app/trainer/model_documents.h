#pragma once
// Models as JSON, from their headers alone: for `models` and for serve.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/config/places.h"
#include "core/config/result.h"

namespace rankscope {

// Every model folder below the given ones (two levels deep); a folder that looks like a model and cannot be used says why
// in "problem".
nlohmann::json scanModels(const std::vector<std::filesystem::path>& folders, const Places& places);
// The folders that are scanned when none is named: the user's models and the starter.
std::vector<std::filesystem::path> defaultModelFolders(const Places& places);
// Everything about one model: sites, tensors, heads, default targets.
Result<nlohmann::json> inspectModel(const std::filesystem::path& folder, const Places& places);

}  // namespace rankscope

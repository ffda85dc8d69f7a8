#include "core/io/shard_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/io/json.h"
#include "core/io/paths.h"
#include "core/io/text_shown.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxShards = 4096;

Result<WeightFiles> readIndex(const fs::path& index) {
  Result<nlohmann::json> document = readJsonFile(index);
  if (!document) return document.error();
  const auto map = document->find("weight_map");
  if (!document->is_object() || map == document->end() || !map->is_object() || map->empty())
    return Error{ErrorCode::BadInput, "shard index has no weight_map", index.string(), "", "tensor names with their files",
                 "Fetch model.safetensors.index.json again."};
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string())
      return Error{ErrorCode::BadInput, "shard index names no file for a tensor", index.string(), shown(tensor),
                   "a file name", "Fetch model.safetensors.index.json again."};
    names.insert(file.get<std::string>());
    if (names.size() > kMaxShards)
      return Error{ErrorCode::BadInput, "shard index names too many files", index.string(),
                   fmt::format("more than {}", kMaxShards), fmt::format("at most {}", kMaxShards),
                   "Save the model again with larger shards."};
  }
  WeightFiles files;
  std::map<std::string, size_t> position;
  for (const std::string& name : names) {
    Result<fs::path> path = joinInside(index.parent_path(), name, index.string());
    if (!path) return path.error();
    std::error_code code;
    if (!fs::is_regular_file(*path, code))
      return Error{ErrorCode::BadInput, "a shard of the model is missing", path->string(), "", "",
                   "Fetch the missing file into the model's folder."};
    position[name] = files.files.size();
    files.files.push_back(std::move(*path));
  }
  for (const auto& [tensor, file] : map->items()) files.fileOfTensor[tensor] = position[file.get<std::string>()];
  return files;
}

}  // namespace

Result<WeightFiles> findWeightFiles(const fs::path& path) {
  std::error_code code;
  if (fs::is_regular_file(path, code)) {
    if (path.extension() == ".json") return readIndex(path);
    return WeightFiles{{path}, {}};
  }
  if (!fs::is_directory(path, code))
    return Error{ErrorCode::BadInput, "model folder cannot be found", path.string(), "", "", "Check the path."};
  if (fs::is_regular_file(path / "model.safetensors", code)) return WeightFiles{{path / "model.safetensors"}, {}};
  if (fs::is_regular_file(path / "model.safetensors.index.json", code))
    return readIndex(path / "model.safetensors.index.json");
  if (fs::is_regular_file(path / "adapter_model.safetensors", code))
    return WeightFiles{{path / "adapter_model.safetensors"}, {}};
  const bool pickled = fs::exists(path / "pytorch_model.bin", code) || fs::exists(path / "pytorch_model.bin.index.json", code);
  return Error{ErrorCode::BadInput, "no weights in the folder", path.string(), pickled ? "pytorch_model.bin" : "",
               "model.safetensors, or model.safetensors.index.json with its shards",
               pickled ? "Convert the model to safetensors, or fetch its safetensors files."
                       : "Check that this is a model's folder and that its download is complete."};
}

Result<WeightSummary> inspectWeights(const fs::path& path) {
  Result<WeightFiles> files = findWeightFiles(path);
  if (!files) return files.error();
  WeightSummary summary;
  for (const fs::path& file : files->files) {
    Result<SafetensorsHeader> header = readSafetensorsHeader(file);
    if (!header) return header.error();
    summary.parameters += header->parameters();
    summary.bytes += header->fileBytes;
    for (const auto& [name, count] : header->dtypes()) summary.dtypes[name] += count;
    summary.tensors.insert(summary.tensors.end(), header->tensors.begin(), header->tensors.end());
  }
  std::sort(summary.tensors.begin(), summary.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  uint64_t most = 0;
  for (const auto& [name, count] : summary.dtypes)
    if (count > most || summary.mainDtype.empty()) {
      most = count;
      summary.mainDtype = name;
    }
  return summary;
}

}  // namespace rankscope

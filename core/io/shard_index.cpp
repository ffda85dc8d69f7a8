#include "core/io/shard_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "core/config/json_text.h"
#include "core/config/text_shown.h"
#include "core/io/gguf_parts.h"
#include "core/io/paths.h"
#include "core/io/weight_formats.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxShards = 4096;

Result<WeightFiles> readIndex(const fs::path& index) {
  Result<nlohmann::json> document = readJsonFile(index);
  if (!document) return document.error();
  const auto map = document->find("weight_map");
  if (!document->is_object() || map == document->end() || !map->is_object() || map->empty())
    return Error{
        ErrorCode::BadInput,     "shard index has no weight_map", index.string(), "", "tensor names with their files",
        "Fetch the index again."};
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string())
      return Error{ErrorCode::BadInput, "shard index names no file for a tensor",
                   index.string(),      shown(tensor),
                   "a file name",       "Fetch the index again."};
    names.insert(file.get<std::string>());
    if (names.size() > kMaxShards)
      return Error{ErrorCode::BadInput,
                   "shard index names too many files",
                   index.string(),
                   fmt::format("more than {}", kMaxShards),
                   fmt::format("at most {}", kMaxShards),
                   "Save the model again with larger shards."};
  }
  WeightFiles files;
  std::map<std::string, size_t> position;
  for (const std::string& name : names) {
    Result<fs::path> path = joinInside(index.parent_path(), name, index.string());
    if (!path) return path.error();
    std::error_code code;
    if (!fs::is_regular_file(*path, code))
      return Error{ErrorCode::BadInput,
                   "a shard of the model is missing",
                   path->string(),
                   "",
                   "",
                   "Fetch the missing file into the model's folder."};
    position[name] = files.files.size();
    files.files.push_back(std::move(*path));
  }
  for (const auto& [tensor, file] : map->items()) files.fileOfTensor[tensor] = position[file.get<std::string>()];
  return files;
}

// In order of preference; what PyTorch must unpickle comes after what is only mapped.
constexpr const char* kUsualNames[] = {"model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors",
                                       "pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin"};
// What training programs leave beside the weights in the same formats.
constexpr const char* kNoWeights[] = {"training_args.bin", "optimizer.pt", "scheduler.pt",  "optimizer.bin",
                                      "scheduler.bin",     "scaler.pt",    "random_states", "rng_state"};

// Files of weights under other names: a quantised model as GGUF, a checkpoint as .pt or .th.
std::vector<fs::path> otherWeights(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    const std::string name = it->path().filename().string(), extension = it->path().extension().string();
    std::error_code ignored;
    const bool known = std::any_of(weightFormats().begin(), weightFormats().end(), [&](const WeightFormat& format) {
      return std::any_of(format.extensions.begin(), format.extensions.end(),
                         [&](const char* e) { return extension == e; });
    });
    const bool aside = std::any_of(std::begin(kNoWeights), std::end(kNoWeights),
                                   [&](const char* start) { return name.rfind(start, 0) == 0; });
    if (known && !aside && it->is_regular_file(ignored)) found.push_back(it->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string fileNames(const std::vector<fs::path>& files) {
  std::string text;
  for (size_t i = 0; i < files.size() && i < 6; ++i) text += (i ? ", " : "") + shown(files[i].filename().string());
  return files.size() > 6 ? text + ", …" : text;
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
  for (const char* name : kUsualNames) {
    if (!fs::is_regular_file(path / name, code)) continue;
    if (fs::path(name).extension() == ".json") return readIndex(path / name);
    return WeightFiles{{path / name}, {}};
  }
  const std::vector<fs::path> others = otherWeights(path);
  if (others.size() == 1) return WeightFiles{others, {}};
  // The parts of one model; whoever opens the first looks for the others.
  if (others.size() > 1 && std::all_of(others.begin(), others.end(), [&](const fs::path& other) {
        const auto name = ggufPartName(other), first = ggufPartName(others.front());
        return name && first && name->stem == first->stem && name->count == first->count;
      }))
    return WeightFiles{{others.front()}, {}};
  if (others.size() > 1)
    return Error{ErrorCode::BadInput,
                 "the folder holds several files of weights",
                 path.string(),
                 fileNames(others),
                 "one",
                 "Name the file instead of its folder."};
  return Error{ErrorCode::BadInput,
               "no weights in the folder",
               path.string(),
               "",
               "model.safetensors, pytorch_model.bin, their indices with shards, or a GGUF file",
               "Check that this is a model's folder and that its download is complete."};
}

Result<WeightSummary> inspectWeights(const fs::path& path) {
  Result<WeightFiles> files = findWeightFiles(path);
  if (!files) return files.error();
  WeightSummary summary;
  for (const fs::path& file : files->files) {
    Result<const WeightFormat*> format = weightFormatOf(file);
    if (!format) return format.error();
    summary.format = (*format)->name;
    Result<WeightFilePtr> opened = (*format)->open(file);
    if (!opened) return opened.error();
    summary.bytes += (*opened)->fileBytes();
    ++summary.files;
    for (const TensorInfo& tensor : (*opened)->tensors()) {
      summary.parameters += tensor.elements();
      summary.dtypes[tensor.storedName()] += tensor.elements();
      summary.tensors.push_back(tensor);
    }
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

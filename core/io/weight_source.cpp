#include "core/io/weight_source.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "core/config/option_spec.h"
#include "core/config/text_shown.h"
#include "core/io/shard_index.h"
#include "core/io/weight_formats.h"

namespace rankscope {

Result<WeightSource> WeightSource::open(const std::filesystem::path& path) {
  Result<WeightFiles> files = findWeightFiles(path);
  if (!files) return files.error();
  WeightSource source;
  for (const std::filesystem::path& file : files->files) {
    Result<WeightFilePtr> opened = openWeightFile(file);
    if (!opened) return opened.error();
    source.m_files.push_back(std::move(*opened));
  }
  for (size_t i = 0; i < source.m_files.size(); ++i)
    for (const TensorInfo& tensor : source.m_files[i]->tensors()) {
      const auto [entry, inserted] = source.m_fileOf.emplace(tensor.name, i);
      if (inserted) continue;
      // Without the index's word on which of the two counts, the weights are ambiguous.
      const auto indexed = files->fileOfTensor.find(tensor.name);
      if (indexed == files->fileOfTensor.end())
        return Error{ErrorCode::BadInput, "two shards hold the same tensor", path.string(), shown(tensor.name, 200),
                     "each tensor once",  "Fetch the model again."};
      entry->second = indexed->second;
    }
  for (const auto& [name, file] : files->fileOfTensor)
    if (!source.m_files[file]->info(name))
      return Error{ErrorCode::BadInput,
                   "a shard lacks a tensor that the index promises",
                   source.m_files[file]->path().string(),
                   shown(name, 200),
                   "",
                   "Fetch this shard again."};
  return source;
}

std::vector<std::string> WeightSource::names() const {
  std::vector<std::string> result;
  result.reserve(m_fileOf.size());
  for (const auto& [name, file] : m_fileOf) result.push_back(name);
  return result;
}

const TensorInfo* WeightSource::info(const std::string& name) const {
  const auto found = m_fileOf.find(name);
  return found == m_fileOf.end() ? nullptr : m_files[found->second]->info(name);
}

Result<at::Tensor> WeightSource::tensor(const std::string& name) const {
  const auto found = m_fileOf.find(name);
  if (found == m_fileOf.end()) {
    const std::string near = nearestText(name, names());
    return Error{ErrorCode::BadInput,
                 "weight is not in the checkpoint",
                 m_files.front()->path().string(),
                 shown(name, 200),
                 "",
                 near.empty()
                     ? "Check that the weights belong to this model."
                     : fmt::format("The nearest name there is {}: check that the weights belong to this model.",
                                   shown(near, 200))};
  }
  const WeightFile& file = *m_files[found->second];
  Result<RawTensor> raw = file.raw(name);
  if (!raw) return raw.error();
  return tensorFrom(*raw, file.path().string() + ": " + shown(name, 200));
}

void WeightSource::release(const std::string& name) const {
  if (const auto found = m_fileOf.find(name); found != m_fileOf.end()) m_files[found->second]->release(name);
}

Result<at::Tensor> WeightSource::tensor(const std::string& name, at::ScalarType dtype) const {
  Result<at::Tensor> loaded = tensor(name);
  if (!loaded || loaded->scalar_type() == dtype) return loaded;
  return loaded->to(dtype);
}

}  // namespace rankscope

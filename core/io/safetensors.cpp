#include "core/io/safetensors.h"

#include "core/config/text_shown.h"

namespace rankscope {

Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::open(const std::filesystem::path& path) {
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file) return file.error();
  Result<SafetensorsHeader> header = parseSafetensorsHeader((*file)->bytes(), (*file)->size(), path.string());
  if (!header) return header.error();
  std::shared_ptr<SafetensorsFile> result(new SafetensorsFile);
  result->m_file = std::move(*file);
  result->m_header = std::move(*header);
  for (size_t i = 0; i < result->m_header.tensors.size(); ++i) result->m_index.emplace(result->m_header.tensors[i].name, i);
  return std::shared_ptr<const SafetensorsFile>(std::move(result));
}

const TensorInfo* SafetensorsFile::info(const std::string& name) const {
  const auto found = m_index.find(name);
  return found == m_index.end() ? nullptr : &m_header.tensors[found->second];
}

Result<at::Tensor> SafetensorsFile::tensor(const std::string& name) const {
  const TensorInfo* entry = info(name);
  if (!entry)
    return Error{ErrorCode::BadInput, "tensor is not in the file", path().string(), shown(name, 200), "",
                 "Check that the weights belong to this model."};
  return tensorFrom({entry->dtype, entry->shape, contiguousStrides(entry->shape),
                     m_file->data() + m_header.dataStart + entry->begin, m_file},
                    path().string() + ": " + shown(name, 200));
}

}  // namespace rankscope

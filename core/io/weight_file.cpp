#include "core/io/weight_file.h"

#include "core/config/text_shown.h"

namespace rankscope {

std::vector<int64_t> contiguousStrides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i] > 0 ? shape[i] : 1;
  }
  return strides;
}

void WeightFile::finish() {
  m_index.reserve(m_tensors.size());
  for (size_t i = 0; i < m_tensors.size(); ++i) m_index.emplace(m_tensors[i].name, i);
}

const TensorInfo* WeightFile::info(const std::string& name) const {
  const auto found = m_index.find(name);
  return found == m_index.end() ? nullptr : &m_tensors[found->second];
}

Result<RawTensor> WeightFile::raw(const std::string& name) const {
  const auto found = m_index.find(name);
  if (found == m_index.end())
    return Error{ErrorCode::BadInput,
                 "tensor is not in the file",
                 m_path.string(),
                 shown(name, 200),
                 "",
                 "Check that the weights belong to this model."};
  return rawAt(found->second);
}

void WeightFile::release(const std::string& name) const {
  if (const auto found = m_index.find(name); found != m_index.end()) releaseAt(found->second);
}

}  // namespace rankscope

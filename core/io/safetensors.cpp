#include "core/io/safetensors.h"

#include <ATen/ATen.h>

#include <array>
#include <cstring>

#include "core/io/text_shown.h"

namespace rankscope {
namespace {

struct Pair {
  Dtype file;
  at::ScalarType torch;
};
constexpr std::array<Pair, 17> kPairs = {{{Dtype::Bool, at::kBool},
                                          {Dtype::U8, at::kByte},
                                          {Dtype::I8, at::kChar},
                                          {Dtype::F8E5M2, at::kFloat8_e5m2},
                                          {Dtype::F8E4M3, at::kFloat8_e4m3fn},
                                          {Dtype::F8E8M0, at::kFloat8_e8m0fnu},
                                          {Dtype::U16, at::kUInt16},
                                          {Dtype::I16, at::kShort},
                                          {Dtype::F16, at::kHalf},
                                          {Dtype::BF16, at::kBFloat16},
                                          {Dtype::U32, at::kUInt32},
                                          {Dtype::I32, at::kInt},
                                          {Dtype::F32, at::kFloat},
                                          {Dtype::C64, at::kComplexFloat},
                                          {Dtype::U64, at::kUInt64},
                                          {Dtype::I64, at::kLong},
                                          {Dtype::F64, at::kDouble}}};

}  // namespace

Result<at::ScalarType> torchDtype(Dtype dtype, const std::string& where) {
  for (const Pair& pair : kPairs)
    if (pair.file == dtype) return pair.torch;
  return Error{ErrorCode::BadInput, "tensor's dtype cannot be computed with", where, dtypeName(dtype),
               "a dtype of at least 8 bits", "Convert the model to BF16, F16 or F32."};
}

Result<Dtype> safetensorsDtype(at::ScalarType type, const std::string& where) {
  for (const Pair& pair : kPairs)
    if (pair.torch == type) return pair.file;
  return Error{ErrorCode::Internal, "dtype cannot be stored in safetensors", where, c10::toString(type), "",
               "Convert the tensor to float32 first."};
}

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
  Result<at::ScalarType> dtype = torchDtype(entry->dtype, path().string() + ": " + shown(name, 200));
  if (!dtype) return dtype.error();
  const auto options = at::TensorOptions().dtype(*dtype);
  if (entry->begin == entry->end) return at::empty(entry->shape, options);
  char* data = m_file->data() + m_header.dataStart + entry->begin;
  const size_t bytes = entry->end - entry->begin;
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(*dtype) != 0) {
    at::Tensor copy = at::empty(entry->shape, options);
    std::memcpy(copy.data_ptr(), data, bytes);
    return copy;
  }
  // The deleter's copy of the pointer keeps the mapping for as long as any view of the storage lives.
  return at::from_blob(data, entry->shape, [mapping = m_file](void*) {}, options);
}

}  // namespace rankscope

#include "core/io/torch_tensor.h"

#include <ATen/ATen.h>

#include <array>
#include <cstring>

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
  return Error{ErrorCode::BadInput,          "tensor's dtype cannot be computed with", where, dtypeName(dtype),
               "a dtype of at least 8 bits", "Convert the model to BF16, F16 or F32."};
}

Result<Dtype> safetensorsDtype(at::ScalarType type, const std::string& where) {
  for (const Pair& pair : kPairs)
    if (pair.torch == type) return pair.file;
  return Error{ErrorCode::Internal,
               "dtype cannot be stored in safetensors",
               where,
               c10::toString(type),
               "",
               "Convert the tensor to float32 first."};
}

Result<at::Tensor> tensorFrom(const RawTensor& raw, const std::string& where) {
  Result<at::ScalarType> dtype = torchDtype(raw.dtype, where);
  if (!dtype) return dtype.error();
  const auto options = at::TensorOptions().dtype(*dtype);
  if (c10::multiply_integers(raw.shape) == 0) return at::empty(raw.shape, options);
  const size_t width = c10::elementSize(*dtype);
  if (reinterpret_cast<uintptr_t>(raw.data) % width != 0) {
    int64_t last = 0;
    for (size_t i = 0; i < raw.shape.size(); ++i) last += (raw.shape[i] - 1) * raw.strides[i];
    at::Tensor copy = at::empty({last + 1}, options);
    std::memcpy(copy.data_ptr(), raw.data, static_cast<size_t>(last + 1) * width);
    return copy.as_strided(raw.shape, raw.strides);
  }
  // The deleter's copy of the pointer keeps the bytes for as long as any view of the storage lives.
  return at::from_blob(
      raw.data, raw.shape, raw.strides, [owner = raw.owner](void*) {}, options);
}

}  // namespace rankscope

#pragma once
// One file of weights in any format, seen the same way: a table of tensors, and the bytes of one when asked.
// Torch-free, so that pickers list models without it; core/io/torch_tensor.h turns a RawTensor into a tensor.
//
// A format is one class derived from WeightFile in its own file pair and one line in core/io/weight_formats.cpp.
// Opening checks the whole table; reading is const and thread-safe.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/config/result.h"
#include "core/io/safetensors_header.h"

namespace rankscope {

// Bytes of a tensor: a view onto a mapped file, or a buffer of its own. `owner` keeps either alive. Not necessarily
// aligned to the dtype. Strides count elements; all indices were checked to lie within the owner's bytes.
struct RawTensor {
  Dtype dtype = Dtype::F32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  char* data = nullptr;
  std::shared_ptr<void> owner;
};

std::vector<int64_t> contiguousStrides(const std::vector<int64_t>& shape);

class WeightFile {
 public:
  virtual ~WeightFile() = default;
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  const std::filesystem::path& path() const { return m_path; }
  const std::vector<TensorInfo>& tensors() const { return m_tensors; }
  const TensorInfo* info(const std::string& name) const;
  // Small texts that the format keeps beside the tensors.
  const std::map<std::string, std::string>& metadata() const { return m_metadata; }
  uint64_t fileBytes() const { return m_fileBytes; }
  Result<RawTensor> raw(const std::string& name) const;
  // The caller has copied this tensor: its part of the mapped file need not stay in memory.
  void release(const std::string& name) const;

 protected:
  WeightFile() = default;
  // `index` into tensors().
  virtual Result<RawTensor> rawAt(size_t index) const = 0;
  virtual void releaseAt(size_t index) const = 0;
  // Derived classes fill these while opening, then call finish().
  void finish();

  std::filesystem::path m_path;
  std::vector<TensorInfo> m_tensors;
  std::map<std::string, std::string> m_metadata;
  uint64_t m_fileBytes = 0;

 private:
  std::unordered_map<std::string, size_t> m_index;
};

using WeightFilePtr = std::shared_ptr<const WeightFile>;

}  // namespace rankscope

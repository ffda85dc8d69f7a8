#pragma once
// Results that cost time to compute and follow from their inputs alone, kept in a folder by a key that is a digest of
// these inputs. An entry is one safetensors file with a digest of its own; what is damaged or foreign counts as absent, and
// what cannot be written only costs the next computation. The folder is kept below a size: the entries that were not
// used for longest go. Several processes may share a folder. Any thread.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/io/safetensors_writer.h"
#include "core/io/sha256.h"

namespace rankscope {

class TensorCache {
 public:
  TensorCache() = default;  // keeps nothing
  TensorCache(std::filesystem::path folder, uint64_t limitBytes) : m_folder(std::move(folder)), m_limit(limitBytes) {}

  // Tensors of their own memory.
  std::optional<std::map<std::string, at::Tensor>> load(const std::string& key) const;
  void store(const std::string& key, const NamedTensors& tensors) const;

 private:
  std::filesystem::path fileOf(const std::string& key) const { return m_folder / (key + ".safetensors"); }
  void makeRoom() const;

  std::filesystem::path m_folder;
  uint64_t m_limit = 0;
};

// Dtype, shape and values.
void updateTensor(Sha256& hash, const at::Tensor& tensor);

}  // namespace rankscope

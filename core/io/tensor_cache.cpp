#include "core/io/tensor_cache.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/io/safetensors.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDigest = "digest";
constexpr std::string_view kEnding = ".safetensors";

std::string digestOf(const std::map<std::string, at::Tensor>& tensors) {
  Sha256 hash;
  for (const auto& [name, tensor] : tensors) {
    hash.updateField(name);
    updateTensor(hash, tensor);
  }
  return hash.hex();
}

}  // namespace

void updateTensor(Sha256& hash, const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kCPU).contiguous();
  hash.updateField(fmt::format("{} {}", fmt::join(values.sizes().vec(), "x"), c10::toString(values.scalar_type())));
  hash.update({static_cast<const char*>(values.const_data_ptr()), values.nbytes()});
}

std::optional<std::map<std::string, at::Tensor>> TensorCache::load(const std::string& key) const {
  if (m_folder.empty()) return std::nullopt;
  const fs::path path = fileOf(key);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  const auto file = SafetensorsFile::open(path);
  if (!file) return std::nullopt;
  std::map<std::string, at::Tensor> tensors;
  for (const TensorInfo& info : (*file)->header().tensors) {
    const Result<at::Tensor> view = (*file)->tensor(info.name);
    if (!view) return std::nullopt;
    tensors.emplace(info.name, view->clone());
  }
  const auto& metadata = (*file)->header().metadata;
  const auto digest = metadata.find(kDigest);
  if (digest == metadata.end() || digest->second != digestOf(tensors)) return std::nullopt;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);  // used a moment ago
  return tensors;
}

void TensorCache::store(const std::string& key, const NamedTensors& tensors) const {
  if (m_folder.empty()) return;
  std::map<std::string, at::Tensor> byName(tensors.begin(), tensors.end());
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : byName) bytes += tensor.nbytes();
  if (bytes > m_limit) return;
  std::error_code code;
  fs::create_directories(m_folder, code);
  if (code) return;
  SafetensorsWriteOptions options;
  options.metadata[kDigest] = digestOf(byName);
  if (writeSafetensors(fileOf(key), tensors, options)) makeRoom();
}

void TensorCache::makeRoom() const {
  struct Entry {
    fs::file_time_type used;
    uint64_t bytes;
    fs::path path;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code code;
  for (fs::directory_iterator it(m_folder, code), end; !code && it != end; it.increment(code)) {
    std::error_code gone;  // another process may be clearing up as well
    const uint64_t bytes = it->file_size(gone);
    if (gone || !it->path().native().ends_with(kEnding)) continue;
    entries.push_back({it->last_write_time(gone), bytes, it->path()});
    total += bytes;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
  for (size_t i = 0; i < entries.size() && total > m_limit; ++i) {
    fs::remove(entries[i].path, code);
    total -= entries[i].bytes;
  }
}

}  // namespace rankscope

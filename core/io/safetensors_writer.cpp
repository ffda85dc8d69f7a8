#include "core/io/safetensors_writer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/config/files.h"
#include "core/config/atomic_file.h"
#include "core/io/safetensors.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

struct Item {
  const std::string* name;
  const at::Tensor* tensor;
  Dtype dtype;
  uint64_t bytes;
};

Result<std::vector<Item>> arrange(const NamedTensors& tensors, const std::string& where) {
  std::vector<Item> items;
  std::set<std::string> seen;
  for (const auto& [name, tensor] : tensors) {
    const std::string at = where + ": " + shown(name, 200);
    if (!tensor.defined())
      return Error{ErrorCode::Internal, "tensor to be saved is not defined", at, "", "", "Please report this."};
    if (name.empty() || name == "__metadata__" || !isValidUtf8(name) || !seen.insert(name).second)
      return Error{ErrorCode::Internal, "tensor's name cannot be used in safetensors", at, "", "a unique UTF-8 name",
                   "Please report this."};
    Result<Dtype> dtype = safetensorsDtype(tensor.scalar_type(), at);
    if (!dtype) return dtype.error();
    items.push_back({&name, &tensor, *dtype, static_cast<uint64_t>(tensor.numel()) * tensor.element_size()});
  }
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return dtypeBits(a.dtype) != dtypeBits(b.dtype) ? dtypeBits(a.dtype) > dtypeBits(b.dtype) : *a.name < *b.name;
  });
  return items;
}

Result<uint64_t> writeItems(const fs::path& path, const std::vector<Item>& items,
                            const std::map<std::string, std::string>& metadata) {
  // ordered_json keeps the order in which the tensors lie in the file, as the reference writer does.
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const Item& item : items) {
    header[*item.name] = {{"dtype", dtypeName(item.dtype)},
                          {"shape", item.tensor->sizes().vec()},
                          {"data_offsets", {offset, offset + item.bytes}}};
    offset += item.bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string prefix(8, '\0');
  for (size_t i = 0; i < 8; ++i) prefix[i] = static_cast<char>(text.size() >> (8 * i) & 0xFF);

  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return file.error();
  if (Result<void> done = file->write(prefix + text); !done) return done.error();
  for (const Item& item : items) {
    if (item.bytes == 0) continue;
    const at::Tensor flat = item.tensor->detach().to(at::kCPU).contiguous();
    if (Result<void> done = file->write(flat.const_data_ptr(), item.bytes); !done) return done.error();
  }
  const uint64_t written = file->written();
  if (Result<void> done = file->commit(); !done) return done.error();
  return written;
}

}  // namespace

Result<uint64_t> writeSafetensors(const fs::path& path, const NamedTensors& tensors, const SafetensorsWriteOptions& options) {
  Result<std::vector<Item>> items = arrange(tensors, path.string());
  if (!items) return items.error();
  return writeItems(path, *items, options.metadata);
}

Result<uint64_t> writeModelWeights(const fs::path& folder, const NamedTensors& tensors,
                                   const SafetensorsWriteOptions& options) {
  Result<std::vector<Item>> items = arrange(tensors, folder.string());
  if (!items) return items.error();
  std::vector<std::vector<Item>> shards(1);
  uint64_t filled = 0, total = 0;
  for (const Item& item : *items) {
    if (options.maxShardBytes > 0 && !shards.back().empty() && filled + item.bytes > options.maxShardBytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(item);
    filled += item.bytes;
    total += item.bytes;
  }
  std::set<std::string> kept;
  uint64_t written = 0;
  nlohmann::json map = nlohmann::json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name =
        shards.size() == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    Result<uint64_t> bytes = writeItems(folder / name, shards[i], options.metadata);
    if (!bytes) return bytes.error();
    written += *bytes;
    kept.insert(name);
    for (const Item& item : shards[i]) map[*item.name] = name;
  }
  if (shards.size() > 1) {
    const nlohmann::json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
    const std::string name = "model.safetensors.index.json";
    if (Result<void> done = writeFileAtomically(folder / name, index.dump(2) + "\n"); !done) return done.error();
    kept.insert(name);
  }
  // Weights of another layout would be found first or lie there unused.
  std::error_code code;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    const bool weights = name == "model.safetensors" || name == "model.safetensors.index.json" ||
                         (name.starts_with("model-") && name.ends_with(".safetensors") && name.find("-of-") != std::string::npos);
    if (weights && !kept.count(name)) fs::remove(entry.path(), code);
  }
  return written;
}

}  // namespace rankscope

#pragma once
// Makes GGUF files byte by byte, sound or broken at will, for tests of their reader.

#include <cstdint>
#include <string>
#include <vector>

#include "archive_builder.h"

namespace gguf_file {

using archive::le;

inline std::string text(const std::string& value) { return le(static_cast<uint64_t>(value.size())) + value; }
inline std::string key(const std::string& name, uint32_t type, const std::string& value) {
  return text(name) + le(type) + value;
}
inline std::string keyU32(const std::string& name, uint32_t value) { return key(name, 4, le(value)); }
inline std::string keyText(const std::string& name, const std::string& value) { return key(name, 8, text(value)); }
inline std::string keyTexts(const std::string& name, const std::vector<std::string>& values) {
  std::string all = le<uint32_t>(8) + le(static_cast<uint64_t>(values.size()));
  for (const std::string& value : values) all += text(value);
  return key(name, 9, all);
}

struct Tensor {
  std::string name;
  std::vector<uint64_t> dims;  // the file's order: innermost first
  uint32_t type = 0;
  std::string bytes;
  int64_t offset = -1;
};

struct Options {
  uint32_t version = 3;
  uint64_t alignment = 32;
  int64_t tensors = -1, entries = -1;
  std::string magic = "GGUF", after{};
};

inline std::string file(const std::vector<std::string>& entries, const std::vector<Tensor>& tensors,
                        const Options& options = {}) {
  std::string out =
      options.magic + le(options.version) +
      le(static_cast<uint64_t>(options.tensors >= 0 ? options.tensors : static_cast<int64_t>(tensors.size()))) +
      le(static_cast<uint64_t>(options.entries >= 0 ? options.entries : static_cast<int64_t>(entries.size())));
  for (const std::string& entry : entries) out += entry;
  std::string data;
  for (const Tensor& tensor : tensors) {
    out += text(tensor.name) + le(static_cast<uint32_t>(tensor.dims.size()));
    for (const uint64_t size : tensor.dims) out += le(size);
    out += le(tensor.type) +
           le(static_cast<uint64_t>(tensor.offset >= 0 ? tensor.offset : static_cast<int64_t>(data.size())));
    data += tensor.bytes;
    data.append((options.alignment - data.size() % options.alignment) % options.alignment, '\0');
  }
  out.append((options.alignment - out.size() % options.alignment) % options.alignment, '\0');
  return out + data + options.after;
}

}  // namespace gguf_file

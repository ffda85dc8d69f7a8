#include "core/io/gguf_weights.h"

#include <fmt/format.h>

#include <cstring>

#include "core/io/gguf_model.h"
#include "core/io/gguf_parts.h"

namespace rankscope {
namespace {

bool endsWith(const std::string& text, std::string_view ending) {
  return text.size() >= ending.size() && text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

class GgufWeights final : public WeightFile {
 public:
  static Result<WeightFilePtr> make(std::vector<GgufPart> parts) {
    const GgufTable table = wholeTable(parts);
    auto weights = std::make_shared<GgufWeights>();
    weights->m_path = parts.front().file->path();
    const std::string where = weights->m_path.string();
    for (const GgufPart& part : parts) weights->m_fileBytes += part.file->size();
    const std::string architecture = table.text("general.architecture");
    const bool adapter = table.text("general.type") == "adapter";
    for (const char* key : {"general.architecture", "general.name", "general.type", "adapter.type", "general.license"})
      if (const std::string text = table.text(key); !text.empty() && text.size() < 1000)
        weights->m_metadata[key] = text;
    int64_t headSize = 0;
    const GgufFamily* family = adapter ? nullptr : findGgufFamily(architecture);
    if (!adapter) {  // the model's shape is needed to put rows in order, and an unknown family is refused by name
      Result<nlohmann::json> config = ggufModelConfig(table, where, parts.front().file->bytes());
      if (!config) return config.error();
      headSize = (*config)["head_dim"].get<int64_t>();
    }
    for (const GgufPart& part : parts)
      for (const GgufTensor& tensor : part.table.tensors) {
        if (family && tensor.name == "rope_freqs.weight") continue;  // in the config
        Entry entry;
        entry.type = tensor.type;
        entry.file = part.file;
        TensorInfo info{family ? modelNameOfGguf(tensor.name) : tensor.name, tensor.type->plain.value_or(Dtype::F32),
                        tensor.shape, tensor.begin, tensor.begin + tensor.bytes};
        if (!tensor.type->plain) info.stored = tensor.type->name;
        const std::string module = info.name.substr(0, info.name.rfind('.'));
        if (family && family->interleavedRotary && (endsWith(module, ".q_proj") || endsWith(module, ".k_proj"))) {
          if (info.shape.front() % headSize != 0)
            return Error{ErrorCode::BadInput,
                         "tensor's rows are no whole heads",
                         where + ": " + tensor.name,
                         fmt::format("{}", info.shape.front()),
                         fmt::format("a multiple of {}", headSize),
                         "Convert the model to GGUF again."};
          entry.headSize = headSize;
        }
        weights->m_entries.push_back(entry);
        weights->m_tensors.push_back(std::move(info));
      }
    weights->finish();
    return WeightFilePtr(std::move(weights));
  }

 private:
  struct Entry {
    std::shared_ptr<MappedFile> file;
    const GgmlType* type = nullptr;
    int64_t headSize = 0;  // not 0: rotary pairs are interleaved in the file
  };

  Result<RawTensor> rawAt(size_t index) const override {
    const TensorInfo& info = m_tensors[index];
    const Entry& entry = m_entries[index];
    RawTensor raw{info.dtype, info.shape, contiguousStrides(info.shape), entry.file->data() + info.begin, entry.file};
    if (entry.type->plain && entry.headSize == 0) return raw;
    const int64_t rows = info.shape.size() > 1 || entry.headSize > 0 ? info.shape.front() : 1;
    const auto rowElements = info.elements() / static_cast<uint64_t>(rows);
    const uint64_t rowBytes = (info.end - info.begin) / static_cast<uint64_t>(rows);
    const uint64_t outBytes = rowElements * static_cast<uint64_t>(dtypeBits(info.dtype)) / 8;
    // Large blocks of an allocation are aligned for every dtype.
    std::shared_ptr<char[]> buffer(new char[outBytes * static_cast<uint64_t>(rows)]);
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t from = entry.headSize > 0 ? interleavedRow(row, entry.headSize) : row;
      const char* in = raw.data + static_cast<uint64_t>(from) * rowBytes;
      char* out = buffer.get() + static_cast<uint64_t>(row) * outBytes;
      if (entry.type->plain)
        std::memcpy(out, in, rowBytes);
      else
        for (uint64_t block = 0; block * entry.type->blockBytes < rowBytes; ++block)
          entry.type->decode(reinterpret_cast<const unsigned char*>(in) + block * entry.type->blockBytes,
                             reinterpret_cast<float*>(out) + block * entry.type->blockElements);
    }
    raw.data = buffer.get();
    raw.owner = std::shared_ptr<void>(buffer, buffer.get());
    return raw;
  }

  void releaseAt(size_t index) const override {
    const TensorInfo& info = m_tensors[index];
    m_entries[index].file->release(info.begin, info.end - info.begin);
  }

  std::vector<Entry> m_entries;
};

}  // namespace

Result<WeightFilePtr> openGgufWeights(const std::filesystem::path& path) {
  Result<std::vector<GgufPart>> parts = openGgufParts(path);
  if (!parts) return parts.error();
  return GgufWeights::make(std::move(*parts));
}

}  // namespace rankscope

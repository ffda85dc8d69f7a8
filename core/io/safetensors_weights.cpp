#include "core/io/safetensors_weights.h"

#include "core/io/mapped_file.h"

namespace rankscope {
namespace {

class SafetensorsWeights final : public WeightFile {
 public:
  SafetensorsWeights(std::shared_ptr<MappedFile> file, SafetensorsHeader header)
      : m_file(std::move(file)), m_dataStart(header.dataStart) {
    m_path = m_file->path();
    m_tensors = std::move(header.tensors);
    m_metadata = std::move(header.metadata);
    m_fileBytes = header.fileBytes;
    finish();
  }

 private:
  Result<RawTensor> rawAt(size_t index) const override {
    const TensorInfo& info = m_tensors[index];
    return RawTensor{info.dtype, info.shape, contiguousStrides(info.shape), m_file->data() + m_dataStart + info.begin,
                     m_file};
  }

  void releaseAt(size_t index) const override {
    const TensorInfo& info = m_tensors[index];
    m_file->release(m_dataStart + info.begin, info.end - info.begin);
  }

  std::shared_ptr<MappedFile> m_file;
  uint64_t m_dataStart;
};

}  // namespace

bool looksLikeSafetensors(std::string_view start) { return start.size() >= 9 && start[8] == '{' && start[7] == 0; }

Result<WeightFilePtr> openSafetensorsWeights(const std::filesystem::path& path) {
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file) return file.error();
  Result<SafetensorsHeader> header = parseSafetensorsHeader((*file)->bytes(), (*file)->size(), path.string());
  if (!header) return header.error();
  return WeightFilePtr(std::make_shared<SafetensorsWeights>(std::move(*file), std::move(*header)));
}

}  // namespace rankscope

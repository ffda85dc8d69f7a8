#include "core/io/gguf_writer.h"

#include <cstring>

#include "core/config/atomic_file.h"
#include "core/io/gguf.h"

namespace rankscope {
namespace {

constexpr uint64_t kAlignment = 32;
constexpr uint32_t kVersion = 3, kFloat32 = 0;

template <typename T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void putText(std::string& out, std::string_view text) {
  put(out, static_cast<uint64_t>(text.size()));
  out += text;
}

uint64_t padding(uint64_t size) { return (kAlignment - size % kAlignment) % kAlignment; }

}  // namespace

void GgufWriter::text(std::string_view key, std::string_view value) {
  putText(m_metadata, key);
  put(m_metadata, static_cast<uint32_t>(GgufType::Text));
  putText(m_metadata, value);
  ++m_entries;
}

void GgufWriter::number(std::string_view key, uint32_t value) {
  putText(m_metadata, key);
  put(m_metadata, static_cast<uint32_t>(GgufType::U32));
  put(m_metadata, value);
  ++m_entries;
}

void GgufWriter::real(std::string_view key, float value) {
  putText(m_metadata, key);
  put(m_metadata, static_cast<uint32_t>(GgufType::F32));
  put(m_metadata, value);
  ++m_entries;
}

void GgufWriter::floats(std::string name, std::vector<int64_t> shape, std::string bytes) {
  m_tensors.push_back({std::move(name), std::move(shape), std::move(bytes)});
}

Result<uint64_t> GgufWriter::write(const std::filesystem::path& path) const {
  std::string table = "GGUF";
  put(table, kVersion);
  put(table, static_cast<uint64_t>(m_tensors.size()));
  put(table, m_entries);
  table += m_metadata;
  uint64_t offset = 0;
  for (const Tensor& tensor : m_tensors) {
    putText(table, tensor.name);
    put(table, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;) put(table, static_cast<uint64_t>(tensor.shape[i]));
    put(table, kFloat32);
    put(table, offset);
    offset += tensor.bytes.size() + padding(tensor.bytes.size());
  }
  table.append(padding(table.size()), '\0');
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return file.error();
  if (auto done = file->write(table); !done) return done.error();
  for (const Tensor& tensor : m_tensors) {
    if (auto done = file->write(tensor.bytes); !done) return done.error();
    if (auto done = file->write(std::string(padding(tensor.bytes.size()), '\0')); !done) return done.error();
  }
  const uint64_t written = file->written();
  if (auto done = file->commit(); !done) return done.error();
  return written;
}

}  // namespace rankscope

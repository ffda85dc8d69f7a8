// Packed arrays with shape and dtype.

#include <cstring>

#include "core/config/json_text.h"
#include "core/runlog/events.h"
#include "core/store/codec.h"
#include "core/store/database.h"
#include "core/store/store.h"

namespace rankscope {
namespace {

constexpr const char* kTypes[] = {"float32", "float64", "int32", "uint8"};
constexpr int64_t kLargestArray = int64_t{1} << 30;  // bytes; SQLite's own limit for a blob

Error badArray(const std::string& found, const std::string& expected) {
  return {ErrorCode::Usage, "the array cannot be kept", "", found, expected, "Please report this."};
}

template <typename T>
std::vector<double> widen(const std::string& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return {values.begin(), values.end()};
}

// Product of the sizes; -1 when a size is negative or the whole too large to keep.
int64_t elementCount(const std::vector<int64_t>& shape, size_t width) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0) return -1;
    if (size > 0 && count > kLargestArray / size) return -1;
    count *= size;
  }
  return count > kLargestArray / static_cast<int64_t>(width) ? -1 : count;
}

Result<ArrayType> typeFromName(const std::string& name) {
  for (int i = 0; i < 4; ++i)
    if (name == kTypes[i]) return static_cast<ArrayType>(i);
  return Error{ErrorCode::Store,
               "an array of unknown type",
               "spectra",
               name,
               "float32, float64, int32 or uint8",
               "It was made by a newer version; use that one."};
}

Result<std::vector<int64_t>> shapeFromText(const std::string& text) {
  Result<nlohmann::json> value = parseJsonRecord(text, "spectra");
  if (!value) return value.error();
  std::vector<int64_t> shape;
  if (value->is_array() && value->size() <= 8)
    for (const nlohmann::json& size : *value)
      if (size.is_number_integer()) shape.push_back(size.get<int64_t>());
  if (!value->is_array() || shape.size() != value->size())
    return Error{ErrorCode::Store, "an array without a shape", "spectra", text, "", "Compute the spectrum again."};
  return shape;
}

}  // namespace

size_t arrayTypeSize(ArrayType type) {
  switch (type) {
    case ArrayType::Float32:
    case ArrayType::Int32: return 4;
    case ArrayType::Float64: return 8;
    case ArrayType::UInt8: return 1;
  }
  return 1;
}

int64_t ArrayBlob::elements() const { return std::max<int64_t>(elementCount(shape, arrayTypeSize(type)), 0); }

std::vector<double> ArrayBlob::toDoubles() const {
  switch (type) {
    case ArrayType::Float32: return widen<float>(bytes);
    case ArrayType::Float64: return widen<double>(bytes);
    case ArrayType::Int32: return widen<int32_t>(bytes);
    case ArrayType::UInt8: return widen<uint8_t>(bytes);
  }
  return {};
}

ArrayBlob ArrayBlob::fromFloats(std::vector<int64_t> shape, const std::vector<float>& values) {
  return {ArrayType::Float32, std::move(shape),
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)), nullptr};
}
ArrayBlob ArrayBlob::fromDoubles(std::vector<int64_t> shape, const std::vector<double>& values) {
  return {ArrayType::Float64, std::move(shape),
          std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)), nullptr};
}

Result<void> Store::saveSpectrum(const SpectrumKey& key, const ArrayBlob& array) {
  const size_t width = arrayTypeSize(array.type);
  const int64_t count = elementCount(array.shape, width);
  if (count < 0 || array.shape.size() > 8 || static_cast<size_t>(count) * width != array.bytes.size())
    return badArray(std::to_string(array.bytes.size()) + " bytes", "as many as the shape says, at most 1 GiB");
  if (key.owner.empty() || key.name.empty()) return badArray("no owner or name", "both");
  const std::string packed = packBytes(array.bytes, static_cast<int>(width));
  return m_database->write("a spectrum is kept", StoreDatabase::Durability::Derived, [&] {
    Query query(*m_database,
                "INSERT INTO spectra (owner, step, site, name, dtype, shape, meta, saved, packed) VALUES "
                "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (owner, step, site, name) DO UPDATE SET "
                "dtype = ?5, shape = ?6, meta = ?7, saved = ?8, packed = ?9");
    query.bind(key.owner, key.step, key.site, key.name, kTypes[static_cast<int>(array.type)],
               jsonText(nlohmann::json(array.shape)), jsonText(array.meta), event::unixTime());
    query.bindBlob(packed).run();
  });
}

Result<ArrayBlob> Store::readSpectrum(const SpectrumKey& key) {
  return m_database->read("a spectrum is read", [&]() -> Result<ArrayBlob> {
    Query query(
        *m_database,
        "SELECT dtype, shape, meta, packed FROM spectra WHERE owner = ? AND step = ? AND site = ? AND name = ?");
    query.bind(key.owner, key.step, key.site, key.name);
    if (!query.step())
      return Error{ErrorCode::Usage,
                   "this spectrum has not been computed",
                   key.owner,
                   key.name,
                   "",
                   "Compute it first: `rankscope-train spectrum RUN`."};
    ArrayBlob array;
    Result<ArrayType> type = typeFromName(query.text(0));
    if (!type) return type.error();
    Result<std::vector<int64_t>> shape = shapeFromText(query.text(1));
    if (!shape) return shape.error();
    array.type = *type;
    array.shape = std::move(*shape);
    const size_t width = arrayTypeSize(array.type);
    const int64_t count = elementCount(array.shape, width);
    if (count < 0)
      return Error{
          ErrorCode::Store, "an array of senseless size", "spectra", query.text(1), "", "Compute the spectrum again."};
    if (Result<nlohmann::json> meta = parseJsonRecord(query.text(2), "spectra"); meta) array.meta = std::move(*meta);
    array.bytes = unpackBytes(query.blob(3), static_cast<size_t>(count) * width, static_cast<int>(width));
    return array;
  });
}

Result<bool> Store::hasSpectrum(const SpectrumKey& key) {
  return m_database->read("a spectrum is looked up", [&]() -> Result<bool> {
    Query query(*m_database, "SELECT 1 FROM spectra WHERE owner = ? AND step = ? AND site = ? AND name = ?");
    query.bind(key.owner, key.step, key.site, key.name);
    return query.step();
  });
}

Result<std::vector<SpectrumInfo>> Store::listSpectra(const std::string& owner) {
  return m_database->read("spectra are listed", [&]() -> Result<std::vector<SpectrumInfo>> {
    std::vector<SpectrumInfo> all;
    Query query(*m_database,
                "SELECT step, site, name, dtype, shape, meta, saved, length(packed) FROM spectra WHERE owner = ? "
                "ORDER BY step, site, name");
    query.bind(owner);
    while (query.step()) {
      SpectrumInfo info;
      info.key = {owner, query.integer(0), query.text(1), query.text(2)};
      Result<ArrayType> type = typeFromName(query.text(3));
      Result<std::vector<int64_t>> shape = shapeFromText(query.text(4));
      if (!type || !shape) continue;
      info.type = *type;
      info.shape = std::move(*shape);
      if (Result<nlohmann::json> meta = parseJsonRecord(query.text(5), "spectra"); meta) info.meta = std::move(*meta);
      info.savedAt = query.real(6);
      info.packedBytes = query.integer(7);
      all.push_back(std::move(info));
    }
    return all;
  });
}

Result<void> Store::deleteSpectra(const std::string& owner) {
  return m_database->write("spectra are removed", StoreDatabase::Durability::Derived,
                           [&] { Query(*m_database, "DELETE FROM spectra WHERE owner = ?").bind(owner).run(); });
}

}  // namespace rankscope

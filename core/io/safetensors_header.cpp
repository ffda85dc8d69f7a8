#include "core/io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <tuple>

#include "core/config/json_text.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

struct DtypeRow {
  Dtype dtype;
  const char* name;
  int bits;
};
constexpr std::array<DtypeRow, 20> kDtypes = {{{Dtype::Bool, "BOOL", 8},      {Dtype::F4, "F4", 4},
                                               {Dtype::F6E2M3, "F6_E2M3", 6}, {Dtype::F6E3M2, "F6_E3M2", 6},
                                               {Dtype::U8, "U8", 8},          {Dtype::I8, "I8", 8},
                                               {Dtype::F8E5M2, "F8_E5M2", 8}, {Dtype::F8E4M3, "F8_E4M3", 8},
                                               {Dtype::F8E8M0, "F8_E8M0", 8}, {Dtype::U16, "U16", 16},
                                               {Dtype::I16, "I16", 16},       {Dtype::F16, "F16", 16},
                                               {Dtype::BF16, "BF16", 16},     {Dtype::U32, "U32", 32},
                                               {Dtype::I32, "I32", 32},       {Dtype::F32, "F32", 32},
                                               {Dtype::C64, "C64", 64},       {Dtype::U64, "U64", 64},
                                               {Dtype::I64, "I64", 64},       {Dtype::F64, "F64", 64}}};

const DtypeRow& rowOf(Dtype dtype) {
  return *std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeRow& row) { return row.dtype == dtype; });
}

constexpr const char* kDamaged = "Perhaps the download was cut off or the file is damaged: fetch it again.";

Error bad(const std::string& where, std::string what, std::string found, std::string expected) {
  return Error{ErrorCode::BadInput, std::move(what), where, std::move(found), std::move(expected), kDamaged};
}

uint64_t littleEndian64(const char* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Bytes of a tensor, nullopt where the product overflows or is no whole number of bytes.
std::optional<uint64_t> byteSize(const TensorInfo& info) {
  uint64_t bits = static_cast<uint64_t>(dtypeBits(info.dtype));
  for (const int64_t size : info.shape)
    if (__builtin_mul_overflow(bits, static_cast<uint64_t>(size), &bits)) return std::nullopt;
  if (bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

Result<TensorInfo> parseTensor(const std::string& name, const nlohmann::json& entry, const std::string& where) {
  const std::string at = fmt::format("{}: tensor {}", where, shown(name));
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets"))
    return bad(at, "tensor entry is not complete", "", "an object with dtype, shape and data_offsets");
  TensorInfo info;
  info.name = name;
  const nlohmann::json& dtype = entry["dtype"];
  const auto* row = dtype.is_string() ? std::find_if(kDtypes.begin(), kDtypes.end(),
                                                     [&](const DtypeRow& r) {
                                                       return dtype.get_ref<const std::string&>() == r.name;
                                                     })
                                      : kDtypes.end();
  if (row == kDtypes.end())
    return Error{ErrorCode::BadInput, "tensor has an unknown dtype", at,
                 dtype.is_string() ? shown(dtype.get_ref<const std::string&>()) : "no text", "F32, BF16, F16, I64, …",
                 "Convert the model to one of these dtypes."};
  info.dtype = row->dtype;
  const nlohmann::json& shape = entry["shape"];
  if (!shape.is_array() || shape.size() > 64) return bad(at, "shape is not a list of sizes", "", "at most 64 sizes");
  // Sizes must fit torch's signed 64-bit ones, and so must their product even where another size is 0.
  uint64_t product = 1;
  for (const nlohmann::json& size : shape) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
      return bad(at, "shape holds something other than a size", "", "whole numbers from 0");
    const uint64_t value = size.get<uint64_t>();
    info.shape.push_back(static_cast<int64_t>(value));
    if (value > 0 && (__builtin_mul_overflow(product, value, &product) || product > static_cast<uint64_t>(INT64_MAX)))
      return bad(at, "shape is too large", "", "fewer than 2^63 elements");
  }
  const nlohmann::json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned())
    return bad(at, "data_offsets is not a pair of offsets", "", "[begin, end]");
  info.begin = offsets[0].get<uint64_t>();
  info.end = offsets[1].get<uint64_t>();
  if (info.end < info.begin)
    return bad(at, "tensor ends before it begins", fmt::format("[{}, {}]", info.begin, info.end), "begin ≤ end");
  const std::optional<uint64_t> bytes = byteSize(info);
  if (!bytes || *bytes != info.end - info.begin)
    return bad(at, "shape and dtype do not match the tensor's bytes", fmt::format("{} bytes", info.end - info.begin),
               bytes ? fmt::format("{} bytes", *bytes) : "a size that fits 64 bits and whole bytes");
  return info;
}

}  // namespace

const char* dtypeName(Dtype dtype) { return rowOf(dtype).name; }
int dtypeBits(Dtype dtype) { return rowOf(dtype).bits; }

const char* TensorInfo::storedName() const { return stored.empty() ? dtypeName(dtype) : stored.c_str(); }

uint64_t TensorInfo::elements() const {
  uint64_t count = 1;
  for (const int64_t size : shape) count *= static_cast<uint64_t>(size);
  return count;
}

uint64_t SafetensorsHeader::parameters() const {
  uint64_t count = 0;
  for (const TensorInfo& tensor : tensors) count += tensor.elements();
  return count;
}

std::map<std::string, uint64_t> SafetensorsHeader::dtypes() const {
  std::map<std::string, uint64_t> counts;
  for (const TensorInfo& tensor : tensors) counts[dtypeName(tensor.dtype)] += tensor.elements();
  return counts;
}

Result<SafetensorsHeader> parseSafetensorsHeader(std::string_view bytes, uint64_t fileBytes, const std::string& where) {
  if (bytes.size() < 8) return bad(where, "file is too short for safetensors", fmt::format("{} bytes", bytes.size()), "at least 8");
  const uint64_t length = littleEndian64(bytes.data());
  if (length > kMaxSafetensorsHeader)
    return bad(where, "safetensors header is too large", fmt::format("{} bytes", length),
               fmt::format("at most {} bytes", kMaxSafetensorsHeader));
  if (length > fileBytes - 8 || length > bytes.size() - 8)
    return bad(where, "safetensors header is longer than the file", fmt::format("{} bytes in a file of {}", length, fileBytes),
               "a header inside the file");
  const std::string_view text = bytes.substr(8, length);
  if (text.empty() || text.front() != '{') return bad(where, "safetensors header does not begin with {", "", "a JSON object");
  JsonLimits limits;
  limits.maxBytes = kMaxSafetensorsHeader;
  limits.maxDepth = 8;
  limits.maxValues = 16'000'000;
  Result<nlohmann::json> document = parseJson(text, where + ": header", limits);
  if (!document) return document.error();

  SafetensorsHeader header;
  header.dataStart = 8 + length;
  header.fileBytes = fileBytes;
  for (const auto& [name, entry] : document->items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) return bad(where, "__metadata__ is not a table of texts", "", "an object of texts");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) return bad(where, "__metadata__ holds something other than text", shown(key), "texts only");
        header.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    Result<TensorInfo> info = parseTensor(name, entry, where);
    if (!info) return info.error();
    header.tensors.push_back(std::move(*info));
  }
  std::sort(header.tensors.begin(), header.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t expected = 0;
  for (const TensorInfo& tensor : header.tensors) {
    if (tensor.begin != expected)
      return bad(fmt::format("{}: tensor {}", where, shown(tensor.name)),
                 tensor.begin > expected ? "a hole lies before the tensor" : "tensors overlap",
                 fmt::format("offset {}", tensor.begin), fmt::format("offset {}", expected));
    expected = tensor.end;
  }
  if (expected != fileBytes - header.dataStart)
    return bad(where, expected > fileBytes - header.dataStart ? "file ends before its tensors do" : "bytes follow the last tensor",
               fmt::format("{} bytes of tensors in the file", fileBytes - header.dataStart), fmt::format("{} bytes", expected));
  return header;
}

Result<SafetensorsHeader> readSafetensorsHeader(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code))
    return Error{ErrorCode::BadInput, "no such safetensors file", path.string(), "", "", "Check the path."};
  const uint64_t fileBytes = std::filesystem::file_size(path, code);
  std::ifstream stream(path, std::ios::binary);
  if (code || !stream)
    return Error{ErrorCode::BadInput, "file cannot be opened", path.string(), "", "", "Check the permissions of the file."};
  std::string bytes(8, '\0');
  stream.read(bytes.data(), 8);
  bytes.resize(static_cast<size_t>(stream.gcount()));
  if (bytes.size() == 8) {
    const uint64_t length = littleEndian64(bytes.data());
    if (length <= kMaxSafetensorsHeader && length <= fileBytes - 8) {
      bytes.resize(8 + length);
      stream.read(bytes.data() + 8, static_cast<std::streamsize>(length));
      bytes.resize(8 + static_cast<size_t>(stream.gcount()));
    }
  }
  return parseSafetensorsHeader(bytes, fileBytes, path.string());
}

}  // namespace rankscope

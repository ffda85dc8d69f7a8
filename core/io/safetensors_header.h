#pragma once
// The header of a safetensors file, read and checked without touching the weights: for pickers, estimates, and as the
// first half of loading. The rules are the reference implementation's: header at most 100 MB, offsets in order without
// holes from 0 to the end of the file, sizes by checked multiplication, no repeated names. Free functions, any thread.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

enum class Dtype { Bool, F4, F6E2M3, F6E3M2, U8, I8, F8E5M2, F8E4M3, F8E8M0, U16, I16, F16, BF16, U32, I32, F32, C64, U64, I64, F64 };

const char* dtypeName(Dtype dtype);  // as in the file: "BF16"
int dtypeBits(Dtype dtype);

struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::F32;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes, counted from the end of the header
  std::string stored{};         // of other formats: how the file holds it where `dtype` is what it is read as ("Q4_K")
  const char* storedName() const;
  uint64_t elements() const;
};

struct SafetensorsHeader {
  uint64_t dataStart = 0;  // where byte 0 of the tensors lies in the file
  uint64_t fileBytes = 0;
  std::map<std::string, std::string> metadata;
  std::vector<TensorInfo> tensors;  // in the order of their offsets

  uint64_t parameters() const;                    // elements of all tensors
  std::map<std::string, uint64_t> dtypes() const;  // name -> elements
};

inline constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

// `bytes` is the whole file or a prefix of it that holds the header; fileBytes is the size of the whole file.
Result<SafetensorsHeader> parseSafetensorsHeader(std::string_view bytes, uint64_t fileBytes, const std::string& where);
// Reads only the header's bytes.
Result<SafetensorsHeader> readSafetensorsHeader(const std::filesystem::path& path);

}  // namespace rankscope

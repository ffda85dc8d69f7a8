#pragma once
// A GGUF file's table: its metadata and where its tensors lie, checked as the reference reader does (llama.cpp's gguf:
// versions 2 and 3, aligned tensors one after the other without holes) and, beyond it, with every size by checked
// arithmetic. Texts are views onto the given bytes. Free functions, any thread.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/result.h"
#include "core/io/ggml_blocks.h"

namespace rankscope {

enum class GgufType : uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, Text, Array, U64, I64, F64 };

struct GgufValue {
  GgufType type = GgufType::U8;  // of an array: Array
  GgufType itemType = GgufType::U8;
  std::string_view raw{};                 // a number's or flag's bytes, an array of them, or a text
  std::vector<std::string_view> texts{};  // an array of texts
  uint64_t count = 1;

  std::optional<int64_t> integer(uint64_t index = 0) const;  // also of flags; nullopt for texts, reals, out of range
  std::optional<double> real(uint64_t index = 0) const;      // any number
  bool isArray() const { return type == GgufType::Array; }
};

struct GgufTensor {
  std::string name;
  const GgmlType* type = nullptr;
  std::vector<int64_t> shape;     // rows first, as safetensors have it: the file's order reversed
  uint64_t begin = 0, bytes = 0;  // from the file's beginning
};

struct GgufTable {
  uint32_t version = 0;
  uint64_t alignment = 32;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<GgufTensor> tensors;

  const GgufValue* find(std::string_view key) const;
  std::string text(std::string_view key) const;  // "" when absent or no text
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> real(std::string_view key) const;
};

bool looksLikeGguf(std::string_view start);
// `bytes` is the whole file and must outlive the table.
Result<GgufTable> parseGguf(std::string_view bytes, const std::string& where);

}  // namespace rankscope

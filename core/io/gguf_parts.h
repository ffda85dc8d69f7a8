#pragma once
// A GGUF model in one file or cut into several ("name-00001-of-00003.gguf", as llama.cpp's gguf-split writes them): all
// parts mapped, parsed and checked to belong together. Free functions, any thread.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/io/gguf.h"
#include "core/io/mapped_file.h"

namespace rankscope {

struct GgufPart {
  std::shared_ptr<MappedFile> file;  // the table's texts are views onto it
  GgufTable table;
};

struct GgufPartName {
  std::string stem;  // "name"
  uint32_t number = 0, count = 0;  // from 1
};
// nullopt for a file that is not named as a part.
std::optional<GgufPartName> ggufPartName(const std::filesystem::path& file);

// The file, or all parts in order when it is the first of several.
Result<std::vector<GgufPart>> openGgufParts(const std::filesystem::path& file);
// The model's metadata (the first part's) with the tensors of all parts, for what looks at names and shapes alone.
GgufTable wholeTable(const std::vector<GgufPart>& parts);

}  // namespace rankscope

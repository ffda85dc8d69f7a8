#pragma once
// The formats of weights that can be opened. To add one: write its file pair (see weight_file.h) and name it in
// weight_formats.cpp. Free functions, any thread.

#include <string_view>
#include <vector>

#include "core/io/weight_file.h"

namespace rankscope {

struct WeightFormat {
  const char* name;   // "safetensors"
  const char* title;  // for people
  // From the first bytes of the file (up to 64).
  bool (*recognises)(std::string_view start);
  Result<WeightFilePtr> (*open)(const std::filesystem::path& path);
  std::vector<const char*>
      extensions;  // decide where the first bytes tell nothing, so that the format names the damage
};

const std::vector<WeightFormat>& weightFormats();
// The format of a file by its first bytes; the error tells what the file seems to be instead.
Result<const WeightFormat*> weightFormatOf(const std::filesystem::path& path);
Result<WeightFilePtr> openWeightFile(const std::filesystem::path& path);

}  // namespace rankscope

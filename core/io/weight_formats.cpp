#include "core/io/weight_formats.h"

#include <fmt/format.h>

#include <fstream>

#include "core/config/text_shown.h"
#include "core/io/gguf_weights.h"
#include "core/io/safetensors_weights.h"
#include "core/io/torch_file.h"

namespace rankscope {

const std::vector<WeightFormat>& weightFormats() {
  static const std::vector<WeightFormat> formats = {
      {"safetensors", "safetensors", looksLikeSafetensors, openSafetensorsWeights, {".safetensors"}},
      {"torch",
       "PyTorch checkpoint (.bin, .pt, .pth, .th)",
       looksLikeTorchFile,
       openTorchFile,
       {".bin", ".pt", ".pth", ".th"}},
      {"gguf", "GGUF", looksLikeGguf, openGgufWeights, {".gguf"}},
  };
  return formats;
}

Result<const WeightFormat*> weightFormatOf(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code))
    return Error{ErrorCode::BadInput, "no such file of weights", path.string(), "", "", "Check the path."};
  std::ifstream stream(path, std::ios::binary);
  std::string start(64, '\0');
  stream.read(start.data(), static_cast<std::streamsize>(start.size()));
  if (stream.bad() || (!stream && stream.gcount() == 0 && !stream.eof()))
    return Error{
        ErrorCode::BadInput, "file cannot be opened", path.string(), "", "", "Check the permissions of the file."};
  start.resize(static_cast<size_t>(stream.gcount()));
  for (const WeightFormat& format : weightFormats())
    if (format.recognises(start)) return &format;
  const auto bad = [&](std::string found, std::string hint) {
    return Error{ErrorCode::BadInput, "file is no weights that can be read",        path.string(),
                 std::move(found),    "safetensors, a PyTorch checkpoint, or GGUF", std::move(hint)};
  };
  if (start.empty()) return bad("an empty file", "Fetch the file again.");
  if (start.rfind("version https://git-lfs", 0) == 0)
    return bad("a Git LFS pointer", "Fetch the weights themselves: run `git lfs pull` in the model's folder.");
  if (start.front() == '<' || start.rfind("{\"error\"", 0) == 0)
    return bad("a web page or an error message", "The download went wrong: fetch the file again.");
  for (const WeightFormat& format : weightFormats())
    for (const char* extension : format.extensions)
      if (path.extension() == extension) return &format;
  return bad(shown(start.substr(0, 16)), "Perhaps the download was cut off or the file is damaged: fetch it again.");
}

Result<WeightFilePtr> openWeightFile(const std::filesystem::path& path) {
  Result<const WeightFormat*> format = weightFormatOf(path);
  if (!format) return format.error();
  return (*format)->open(path);
}

}  // namespace rankscope

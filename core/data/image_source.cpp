#include "core/data/image_source.h"

namespace rankscope {

bool ImageSource::recognises(const std::filesystem::path& path) {
  std::error_code code;
  return std::filesystem::is_directory(path, code) || looksLikeIdx(path) || looksLikeCifar(path);
}

Result<std::shared_ptr<const ImageSource>> ImageSource::open(const std::filesystem::path& path) {
  std::error_code code;
  if (looksLikeIdx(path)) return openIdx(path);
  if (looksLikeCifar(path)) return openCifar(path);
  if (std::filesystem::is_directory(path, code)) return openImageFolder(path);
  return Error{ErrorCode::BadInput, "no images can be read from this file", path.string(),
               std::filesystem::exists(path, code) ? "another kind of file" : "no such file",
               "a folder of class folders, CIFAR batches (.bin), or an IDX file of images",
               "Choose the folder that holds one folder of PNG or JPEG files for each class."};
}

}  // namespace rankscope

#pragma once
// Images with their labels as people keep them: a folder of class folders with PNG or JPEG files, CIFAR-10 and CIFAR-100
// binary batches (a file, or the folder they come in), MNIST's IDX files (plain or gzipped, the labels' file beside).
// Opening lists and checks; reading one image is const and thread-safe. Shared by a table of their names (image_table.h)
// and the task that reads them.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "core/config/result.h"
#include "core/data/image.h"
#include "core/data/table.h"

namespace rankscope {

class ImageSource {
 public:
  virtual ~ImageSource() = default;
  static Result<std::shared_ptr<const ImageSource>> open(const std::filesystem::path& path);
  // Whether `path` is to be read as images where no format is given: a folder, or a file that looks like those above.
  static bool recognises(const std::filesystem::path& path);

  virtual size_t size() const = 0;
  virtual std::string name(size_t index) const = 0;   // "cat/0012.png", "data_batch_1.bin #17"
  virtual std::string label(size_t index) const = 0;  // "" where it has none that is known
  virtual Result<Image> read(size_t index) const = 0;
  virtual uint64_t bytes() const = 0;  // on disk
  // SHA-256 over names, labels and contents.
  virtual Result<std::string> contentHash() const = 0;
};

inline constexpr size_t kMaxImages = 20'000'000;

// The kinds, one file each. Internal to core/data.
Result<std::shared_ptr<const ImageSource>> openImageFolder(const std::filesystem::path& folder);
Result<std::shared_ptr<const ImageSource>> openCifar(const std::filesystem::path& path);
Result<std::shared_ptr<const ImageSource>> openIdx(const std::filesystem::path& path);
bool looksLikeCifar(const std::filesystem::path& path);  // a batch, or a folder with some
bool looksLikeIdx(const std::filesystem::path& path);

}  // namespace rankscope

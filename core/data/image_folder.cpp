// A folder of class folders: a file's label is the first folder of its path, as torchvision's ImageFolder has it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/config/files.h"
#include "core/config/text_shown.h"
#include "core/data/image_source.h"
#include "core/io/mapped_file.h"
#include "core/io/sha256.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

// Files of the last five are listed so that the reader can say what is wrong with them, rather than passing them by.
constexpr const char* kEndings[] = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"};

bool isImageName(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::any_of(std::begin(kEndings), std::end(kEndings), [&](const char* each) { return ending == each; });
}

class ImageFolder final : public ImageSource {
 public:
  ImageFolder(fs::path folder, std::vector<std::string> names, uint64_t bytes)
      : m_folder(std::move(folder)), m_names(std::move(names)), m_bytes(bytes) {}

  size_t size() const override { return m_names.size(); }
  std::string name(size_t index) const override { return m_names[index]; }
  std::string label(size_t index) const override { return m_names[index].substr(0, m_names[index].find('/')); }
  uint64_t bytes() const override { return m_bytes; }

  Result<Image> read(size_t index) const override {
    const fs::path path = m_folder / m_names[index];
    Result<std::string> bytes = readFileBounded(path, kMaxImageFileBytes);
    if (!bytes) return bytes.error();
    return decodeImage(*bytes, path.string());
  }

  Result<std::string> contentHash() const override {
    Sha256 hash;
    for (const std::string& name : m_names) {
      hash.updateField(name);
      Result<std::string> content = sha256File(m_folder / name);
      if (!content) return content.error();
      hash.updateField(*content);
    }
    return hash.hex();
  }

 private:
  fs::path m_folder;
  std::vector<std::string> m_names;  // relative, with '/'; sorted
  uint64_t m_bytes;
};

}  // namespace

Result<std::shared_ptr<const ImageSource>> openImageFolder(const fs::path& folder) {
  std::vector<std::string> names;
  std::set<std::string> classes;
  uint64_t bytes = 0;
  size_t loose = 0;
  std::error_code code;
  for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, code), end;
       !code && it != end; it.increment(code)) {
    std::error_code ignored;
    if (it->path().filename().string().starts_with('.')) {
      if (it->is_directory(ignored)) it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file(ignored) || !isImageName(it->path())) continue;
    if (it.depth() == 0) {
      ++loose;
      continue;
    }
    const uint64_t size = it->file_size(ignored);
    bytes += ignored ? 0 : size;
    names.push_back(it->path().lexically_relative(folder).generic_string());
    classes.insert(names.back().substr(0, names.back().find('/')));
    if (names.size() > kMaxImages)
      return Error{ErrorCode::BadInput, "the folder holds too many images", folder.string(), fmt::format("more than {}", kMaxImages),
                   fmt::format("at most {}", kMaxImages), "Choose a part of it."};
  }
  if (code) return systemError(code.value(), "the folder of images cannot be listed", folder);
  if (names.empty())
    return Error{ErrorCode::BadInput, "the folder holds no class folders with images", folder.string(),
                 loose > 0 ? fmt::format("{} images in the folder itself", loose) : "no PNG or JPEG file",
                 "one folder of PNG or JPEG files for each class",
                 "Put the images of each class into a folder of its own, named like the class."};
  // The parts of a data set taken for its classes would be learned in earnest.
  static const std::set<std::string> parts = {"train", "test", "val", "valid", "validation", "eval", "dev"};
  if (std::includes(parts.begin(), parts.end(), classes.begin(), classes.end()))
    return Error{ErrorCode::BadInput, "the folder holds parts of a data set, not classes", folder.string(),
                 shown(*classes.begin()), "class folders",
                 classes.count("train") ? "Choose the folder train in it." : fmt::format("Choose the folder {} in it.", *classes.begin())};
  std::sort(names.begin(), names.end());
  return std::shared_ptr<const ImageSource>(std::make_shared<ImageFolder>(folder, std::move(names), bytes));
}

}  // namespace rankscope

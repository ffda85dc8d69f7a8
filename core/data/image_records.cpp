// Images of one size in one file: CIFAR's binary batches (a label or two, then the planes of red, green and blue) and
// MNIST's IDX files (big-endian sizes, then grey bytes; the labels in a file of their own).
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/config/files.h"
#include "core/data/image_source.h"
#include "core/io/mapped_file.h"
#include "core/io/sha256.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

// ---- CIFAR ----

constexpr int64_t kSide = 32;
constexpr size_t kPlane = kSide * kSide, kPixels = 3 * kPlane;

struct CifarKind {
  size_t labelBytes;       // the last of them is the class that counts
  const char* namesFile;   // one name a line, in the order of the numbers
};
constexpr CifarKind kCifar10{1, "batches.meta.txt"}, kCifar100{2, "fine_label_names.txt"};

uint64_t sizeOf(const fs::path& file) {
  std::error_code code;
  const uint64_t size = fs::file_size(file, code);
  return code ? 0 : size;
}

std::optional<CifarKind> cifarKind(const fs::path& file) {
  std::error_code code;
  if (file.extension() != ".bin" || !fs::is_regular_file(file, code)) return std::nullopt;
  const uint64_t size = sizeOf(file);
  const bool ten = size > 0 && size % (kPixels + 1) == 0, hundred = size > 0 && size % (kPixels + 2) == 0;
  if (!ten && !hundred) return std::nullopt;
  return hundred && (!ten || fs::exists(file.parent_path() / kCifar100.namesFile, code)) ? kCifar100 : kCifar10;
}

// Of the folder the batches come in: those to train on, else all.
std::vector<fs::path> cifarBatches(const fs::path& folder) {
  std::vector<fs::path> all, training;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    if (!cifarKind(it->path())) continue;
    all.push_back(it->path());
    const std::string name = it->path().filename().string();
    if (name.starts_with("data_batch") || name.starts_with("train")) training.push_back(it->path());
  }
  std::vector<fs::path>& chosen = training.empty() ? all : training;
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

class CifarBatches final : public ImageSource {
 public:
  CifarBatches(CifarKind kind, std::vector<std::shared_ptr<MappedFile>> files, std::vector<std::string> names)
      : m_kind(kind), m_record(kind.labelBytes + kPixels), m_files(std::move(files)), m_names(std::move(names)) {
    for (const auto& file : m_files) m_ends.push_back((m_ends.empty() ? 0 : m_ends.back()) + file->size() / m_record);
  }

  size_t size() const override { return m_ends.back(); }
  std::string name(size_t index) const override {
    const auto [file, record] = place(index);
    return fmt::format("{} #{}", m_files[file]->path().filename().string(), record + 1);
  }
  std::string label(size_t index) const override {
    const auto number = static_cast<uint8_t>(bytesOf(index)[m_kind.labelBytes - 1]);
    if (m_names.empty()) return std::to_string(number);
    return number < m_names.size() ? m_names[number] : std::string();
  }
  uint64_t bytes() const override {
    uint64_t total = 0;
    for (const auto& file : m_files) total += file->size();
    return total;
  }
  Result<Image> read(size_t index) const override {
    Image image{kSide, kSide, 3, std::vector<uint8_t>(kPixels)};
    const char* planes = bytesOf(index) + m_kind.labelBytes;
    for (size_t i = 0; i < kPlane; ++i)
      for (size_t c = 0; c < 3; ++c) image.pixels[3 * i + c] = static_cast<uint8_t>(planes[c * kPlane + i]);
    return image;
  }
  Result<std::string> contentHash() const override {
    Sha256 hash;
    for (const std::string& name : m_names) hash.updateField(name);
    for (const auto& file : m_files) hash.updateField(file->bytes());
    return hash.hex();
  }

 private:
  std::pair<size_t, size_t> place(size_t index) const {
    const auto file = static_cast<size_t>(std::upper_bound(m_ends.begin(), m_ends.end(), index) - m_ends.begin());
    return {file, index - (file == 0 ? 0 : m_ends[file - 1])};
  }
  const char* bytesOf(size_t index) const {
    const auto [file, record] = place(index);
    return m_files[file]->data() + record * m_record;
  }

  CifarKind m_kind;
  size_t m_record;
  std::vector<std::shared_ptr<MappedFile>> m_files;
  std::vector<std::string> m_names;  // empty: the numbers are the names
  std::vector<size_t> m_ends;        // records up to and with each file
};

Result<std::vector<std::string>> readNames(const fs::path& file) {
  std::vector<std::string> names;
  std::error_code code;
  if (!fs::is_regular_file(file, code)) return names;
  Result<std::string> text = readFileBounded(file, 64 << 10);
  if (!text) return text.error();
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    std::string line = cleanUtf8(std::string_view(*text).substr(at, end - at), 200);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) names.push_back(std::move(line));
    at = end + 1;
  }
  return names;
}

// ---- IDX ----

constexpr size_t kImagesHeader = 16, kLabelsHeader = 8;
constexpr uint32_t kImagesMagic = 0x00000803, kLabelsMagic = 0x00000801;

uint32_t bigEndian(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

Error badIdx(const fs::path& path, std::string what, std::string found, std::string expected) {
  return {ErrorCode::BadInput, std::move(what), path.string(), std::move(found), std::move(expected),
          "Fetch the file again."};
}

// The beginning of a file, up to `most` bytes, unpacked where it is gzipped.
Result<std::string> unpacked(const fs::path& path, size_t most) {
  std::error_code code;
  if (!fs::is_regular_file(path, code)) return badIdx(path, "there is no such file", "", "an IDX file");
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) return badIdx(path, "the file cannot be opened", "", "a readable file");
  std::string bytes(most, '\0');
  size_t filled = 0;
  while (filled < most) {
    const int read = gzread(file.get(), bytes.data() + filled, static_cast<unsigned>(std::min<size_t>(most - filled, 1u << 30)));
    if (read < 0) return badIdx(path, "the file cannot be unpacked", "damaged data", "a sound gzip file");
    if (read == 0) break;
    filled += static_cast<size_t>(read);
  }
  bytes.resize(filled);
  return bytes;
}

class IdxImages final : public ImageSource {
 public:
  IdxImages(fs::path path, std::string images, std::string labels)
      : m_path(std::move(path)), m_images(std::move(images)), m_labels(std::move(labels)),
        m_height(bigEndian(m_images, 8)), m_width(bigEndian(m_images, 12)) {}

  size_t size() const override { return m_labels.size() - kLabelsHeader; }
  std::string name(size_t index) const override { return fmt::format("{} #{}", m_path.filename().string(), index + 1); }
  std::string label(size_t index) const override {
    return std::to_string(static_cast<uint8_t>(m_labels[kLabelsHeader + index]));
  }
  uint64_t bytes() const override { return sizeOf(m_path); }
  Result<Image> read(size_t index) const override {
    Image image{m_width, m_height, 1, {}};
    const auto* from = reinterpret_cast<const uint8_t*>(m_images.data()) + kImagesHeader + index * image.bytes();
    image.pixels.assign(from, from + image.bytes());
    return image;
  }
  Result<std::string> contentHash() const override {
    Sha256 hash;
    hash.updateField(m_images);
    hash.updateField(m_labels);
    return hash.hex();
  }

 private:
  fs::path m_path;
  std::string m_images, m_labels;  // whole files
  int64_t m_height, m_width;
};

std::string labelsName(std::string name) {
  const size_t images = name.find("images"), three = name.find("idx3");
  if (three != std::string::npos) name.replace(three, 4, "idx1");
  if (images != std::string::npos) name.replace(images, 6, "labels");
  return name;
}

}  // namespace

bool looksLikeCifar(const fs::path& path) {
  std::error_code code;
  return fs::is_directory(path, code) ? !cifarBatches(path).empty() : cifarKind(path).has_value();
}

Result<std::shared_ptr<const ImageSource>> openCifar(const fs::path& path) {
  std::error_code code;
  const std::vector<fs::path> files = fs::is_directory(path, code) ? cifarBatches(path) : std::vector<fs::path>{path};
  const std::optional<CifarKind> kind = files.empty() ? std::nullopt : cifarKind(files.front());
  if (!kind)
    return Error{ErrorCode::BadInput, "not a CIFAR batch", path.string(), fmt::format("{} bytes", sizeOf(path)),
                 fmt::format("records of {} or {} bytes", kPixels + 1, kPixels + 2), "Fetch the file again."};
  std::vector<std::shared_ptr<MappedFile>> mapped;
  for (const fs::path& file : files) {
    if (const auto other = cifarKind(file); !other || other->labelBytes != kind->labelBytes)
      return Error{ErrorCode::BadInput, "the batches are not of one kind", file.string(), "", "CIFAR-10 or CIFAR-100",
                   "Keep the two in folders of their own."};
    Result<std::shared_ptr<MappedFile>> opened = MappedFile::open(file, MappedFile::Access::Sequential);
    if (!opened) return opened.error();
    mapped.push_back(std::move(*opened));
  }
  Result<std::vector<std::string>> names = readNames(files.front().parent_path() / kind->namesFile);
  if (!names) return names.error();
  return std::shared_ptr<const ImageSource>(std::make_shared<CifarBatches>(*kind, std::move(mapped), std::move(*names)));
}

bool looksLikeIdx(const fs::path& path) {
  std::error_code code;
  const std::string name = path.filename().string();
  return (name.find("idx3-ubyte") != std::string::npos || name.find("idx3.ubyte") != std::string::npos) &&
         fs::is_regular_file(path, code);
}

Result<std::shared_ptr<const ImageSource>> openIdx(const fs::path& path) {
  Result<std::string> header = unpacked(path, kImagesHeader);
  if (!header) return header.error();
  if (header->size() < kImagesHeader || bigEndian(*header, 0) != kImagesMagic)
    return badIdx(path, "not an IDX file of images", header->size() < 4 ? "cut off" : fmt::format("{:08x}", bigEndian(*header, 0)),
                  fmt::format("{:08x}", kImagesMagic));
  const uint64_t count = bigEndian(*header, 4), height = bigEndian(*header, 8), width = bigEndian(*header, 12);
  const bool sides = height >= 1 && width >= 1 && height <= 4096 && width <= 4096;
  // deflate packs at most a thousand to one.
  const uint64_t total = sides && count > 0 && count <= kMaxImages ? kImagesHeader + count * height * width : 0;
  if (total == 0 || total > sizeOf(path) * 1100)
    return badIdx(path, "the IDX file's sizes are damaged", fmt::format("{} images of {} × {}", count, width, height),
                  fmt::format("sizes that a file of {} bytes can hold", sizeOf(path)));
  Result<std::string> images = unpacked(path, total);
  if (!images) return images.error();
  if (images->size() < total)
    return badIdx(path, "the IDX file is cut off", fmt::format("{} bytes", images->size()), fmt::format("{} bytes", total));
  const fs::path beside = path.parent_path() / labelsName(path.filename().string());
  Result<std::string> labels = unpacked(beside, kLabelsHeader + count);
  if (!labels) return labels.error();
  if (labels->size() < kLabelsHeader + count || bigEndian(*labels, 0) != kLabelsMagic || bigEndian(*labels, 4) != count)
    return badIdx(beside, "the labels do not fit the images", fmt::format("{} bytes", labels->size()),
                  fmt::format("{} labels in an IDX file", count));
  return std::shared_ptr<const ImageSource>(std::make_shared<IdxImages>(path, std::move(*images), std::move(*labels)));
}

}  // namespace rankscope

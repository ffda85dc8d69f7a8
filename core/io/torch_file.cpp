#include "core/io/torch_file.h"

#include <fmt/format.h>

#include <optional>

#include "core/config/text_shown.h"
#include "core/io/byte_reader.h"
#include "core/io/mapped_file.h"
#include "core/io/zip_archive.h"

namespace rankscope {
namespace {

constexpr std::string_view kZipStart("PK\x03\x04", 4);
// A pickle of the number 0x1950a86a20f9469cfc6c, with which every file of before 1.6 begins.
constexpr std::string_view kLegacyStart("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
constexpr int64_t kLegacyVersion = 1001;
constexpr const char* kDamaged = "Perhaps the download was cut off or the file is damaged: fetch it again.";

Error bad(const std::string& where, std::string what, std::string found = "", std::string expected = "",
          const char* hint = kDamaged) {
  return Error{ErrorCode::BadInput, std::move(what), where, std::move(found), std::move(expected), hint};
}

Result<TorchLayout> parseZip(std::string_view bytes, const std::string& where) {
  Result<ZipArchive> archive = ZipArchive::parse(bytes, where);
  if (!archive) return archive.error();
  constexpr std::string_view kTable = "data.pkl";
  const ZipEntry* table = nullptr;
  for (const ZipEntry& entry : archive->entries()) {
    const bool ends = entry.name.size() >= kTable.size() &&
                      std::string_view(entry.name).substr(entry.name.size() - kTable.size()) == kTable;
    const std::string folder = ends ? entry.name.substr(0, entry.name.size() - kTable.size()) : std::string();
    if (!ends || (!folder.empty() && folder.find('/') != folder.size() - 1)) continue;
    if (table) return bad(where, "the archive holds two tables of tensors", shown(entry.name), "one data.pkl");
    table = &entry;
  }
  if (!table)
    return bad(where, "the archive holds no table of tensors", fmt::format("{} entries", archive->entries().size()),
               "data.pkl", "This zip file is not a PyTorch checkpoint; give the file that holds the model's weights.");
  const std::string folder = table->name.substr(0, table->name.size() - kTable.size());
  if (archive->find(folder + "constants.pkl"))
    return bad(where, "the file is a TorchScript program, not a checkpoint", "constants.pkl", "a state_dict",
               "Load it with PyTorch and save its state_dict as safetensors.");
  if (const ZipEntry* order = archive->find(folder + "byteorder");
      order && bytes.substr(order->offset, order->size) != "little")
    return bad(where, "the file's numbers are big-endian", shown(bytes.substr(order->offset, order->size)), "little",
               "Save it again on a little-endian machine.");

  TorchPickle pickle;
  const std::string at = where + ": " + table->name;
  Result<PickleResult> result = readPickle(bytes.substr(0, table->offset + table->size), table->offset, pickle, at);
  if (!result) return result.error();
  if (result->end != table->offset + table->size)
    return bad(at, "bytes follow the pickle", fmt::format("{} bytes", table->offset + table->size - result->end),
               "none");
  TorchLayout layout;
  for (const TorchStorage& storage : pickle.storages()) {
    const ZipEntry* data = archive->find(folder + "data/" + storage.key);
    if (!data) return bad(where, "a storage is missing from the archive", shown(folder + "data/" + storage.key), "");
    if (data->size != storage.bytes)
      return bad(where + ": entry " + data->name, "a storage has another size than the table says",
                 fmt::format("{} bytes", data->size), fmt::format("{} bytes", storage.bytes));
    layout.storageAt.push_back(data->offset);
  }
  Result<TorchState> state = torchState(result->document, pickle, where);
  if (!state) return state.error();
  layout.state = std::move(*state);
  return layout;
}

// Header pickles, the object, the list of keys, then for each key its number of elements and its bytes.
Result<TorchLayout> parseLegacy(std::string_view bytes, const std::string& where) {
  TorchPickle pickle;
  size_t at = 0;
  const auto next = [&](const char* what) -> Result<PickleDocument> {
    Result<PickleResult> result = readPickle(bytes, at, pickle, where + ": " + what);
    if (!result) return result.error();
    at = result->end;
    return std::move(result->document);
  };
  Result<PickleDocument> magic = next("the magic number");
  if (!magic) return magic.error();
  Result<PickleDocument> version = next("the version");
  if (!version) return version.error();
  if (version->root().kind != PickleKind::Int || version->root().integer != kLegacyVersion)
    return bad(where, "the file is of another version", describePickle(version->root()),
               fmt::format("{}", kLegacyVersion), "Load it with PyTorch and save it as safetensors.");
  Result<PickleDocument> system = next("the system's table");
  if (!system) return system.error();
  if (const PickleNode* little = system->find(system->root(), "little_endian");
      !little || little->kind != PickleKind::Bool || little->integer != 1)
    return bad(where, "the file's numbers are big-endian", "", "little_endian",
               "Save it again on a little-endian machine.");
  Result<PickleDocument> object = next("the checkpoint");
  if (!object) return object.error();
  Result<PickleDocument> keys = next("the list of storages");
  if (!keys) return keys.error();
  if (keys->root().kind != PickleKind::List || keys->root().items.size() != pickle.storages().size())
    return bad(where, "the list of storages is wrong", describePickle(keys->root()),
               fmt::format("a list of {}", pickle.storages().size()));

  TorchLayout layout;
  std::vector<std::optional<uint64_t>> found(pickle.storages().size());
  for (const PickleRef ref : keys->root().items) {
    const PickleNode& key = (*keys)[ref];
    const bool named = key.kind == PickleKind::Text || key.kind == PickleKind::Bytes;
    const TorchStorage* storage = named ? pickle.storage(std::string(key.text)) : nullptr;
    const size_t index = storage ? static_cast<size_t>(storage - pickle.storages().data()) : 0;
    if (!storage || found[index])
      return bad(where, "the list of storages names one that does not exist or names it twice", describePickle(key));
    ByteReader reader(bytes, at);
    const uint64_t elements = reader.u64();
    if (reader.failed() || storage->bytes > reader.left())
      return bad(where, "file ends before its tensors do", fmt::format("{} bytes", reader.left()),
                 fmt::format("{} bytes of storage {}", storage->bytes, shown(storage->key)));
    // The element's width is in the table, the count here: both must lead to the same bytes.
    if (elements > storage->bytes ||
        (storage->bytes > 0 && (elements == 0 || storage->bytes % elements != 0 || storage->bytes / elements > 16)))
      return bad(where, "a storage has another size than the table says", fmt::format("{} elements", elements),
                 fmt::format("{} bytes", storage->bytes));
    found[index] = reader.at();
    at = reader.at() + static_cast<size_t>(storage->bytes);
  }
  if (at != bytes.size())
    return bad(where, "bytes follow the last storage", fmt::format("{} bytes", bytes.size() - at), "none");
  for (const auto& offset : found) layout.storageAt.push_back(*offset);
  Result<TorchState> state = torchState(*object, pickle, where);
  if (!state) return state.error();
  layout.state = std::move(*state);
  return layout;
}

class TorchFile final : public WeightFile {
 public:
  TorchFile(std::shared_ptr<MappedFile> file, TorchLayout layout) : m_file(std::move(file)) {
    m_path = m_file->path();
    m_fileBytes = m_file->size();
    m_metadata = std::move(layout.state.notes);
    for (auto& [name, tensor] : layout.state.tensors) {
      const uint64_t width = static_cast<uint64_t>(dtypeBits(tensor.dtype)) / 8;
      TensorInfo info{name, tensor.dtype, tensor.shape};
      info.begin = layout.storageAt[tensor.storage] + tensor.offset * width;
      info.end = info.begin + info.elements() * width;
      m_tensors.push_back(std::move(info));
      m_strides.push_back(std::move(tensor.strides));
    }
    finish();
  }

 private:
  Result<RawTensor> rawAt(size_t index) const override {
    const TensorInfo& info = m_tensors[index];
    return RawTensor{info.dtype, info.shape, m_strides[index], m_file->data() + info.begin, m_file};
  }

  void releaseAt(size_t index) const override {
    const TensorInfo& info = m_tensors[index];
    m_file->release(info.begin, info.end - info.begin);
  }

  std::shared_ptr<MappedFile> m_file;
  std::vector<std::vector<int64_t>> m_strides;
};

}  // namespace

bool looksLikeTorchFile(std::string_view start) {
  return start.substr(0, kZipStart.size()) == kZipStart || start.substr(0, kLegacyStart.size()) == kLegacyStart;
}

Result<TorchLayout> parseTorchFile(std::string_view bytes, const std::string& where) {
  if (bytes.substr(0, kZipStart.size()) == kZipStart) return parseZip(bytes, where);
  if (bytes.substr(0, kLegacyStart.size()) == kLegacyStart) return parseLegacy(bytes, where);
  if (bytes.size() > 262 && bytes.substr(257, 5) == "ustar")
    return bad(where, "the file is a tar archive of PyTorch before 0.2", "", "a checkpoint of a later version",
               "Load it with PyTorch and save it as safetensors.");
  if (!bytes.empty() && static_cast<unsigned char>(bytes.front()) == 0x80)
    return bad(where, "the file is a bare pickle, not a PyTorch checkpoint", "", "a file that torch.save wrote",
               "If you trust the file, load it with the program that wrote it and save its tensors as safetensors.");
  return bad(where, "the file is no PyTorch checkpoint", shown(bytes.substr(0, 16)),
             "a zip archive or PyTorch's old format");
}

Result<WeightFilePtr> openTorchFile(const std::filesystem::path& path) {
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file) return file.error();
  Result<TorchLayout> layout = parseTorchFile((*file)->bytes(), path.string());
  if (!layout) return layout.error();
  return WeightFilePtr(std::make_shared<TorchFile>(std::move(*file), std::move(*layout)));
}

}  // namespace rankscope

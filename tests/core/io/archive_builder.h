#pragma once
// Makes PyTorch's files byte by byte, sound or broken at will, for tests of their readers.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace archive {

template <typename T>
std::string le(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

struct Entry {
  std::string name, bytes;
  uint16_t method = 0, flags = 0;
  // What the headers say where it is not the truth.
  int64_t storedSize = -1, size = -1, localSize = -1, offset = -1;
  std::string localName{};
  bool zip64 = false;  // sizes and offset stand in the table's extra field
};

struct ZipOptions {
  bool wideEnd = false;  // also the 64-bit record, as PyTorch writes it
  int64_t entries = -1, tableSize = -1, tableOffset = -1;
  std::string comment{}, beforeTable{}, afterTable{};
  uint16_t disk = 0;
};

inline std::string zip(const std::vector<Entry>& entries, const ZipOptions& options = {}) {
  std::string file, table;
  for (const Entry& e : entries) {
    const auto offset = static_cast<uint64_t>(e.offset >= 0 ? e.offset : static_cast<int64_t>(file.size()));
    const auto size = static_cast<uint64_t>(e.size >= 0 ? e.size : static_cast<int64_t>(e.bytes.size()));
    const auto stored = static_cast<uint64_t>(e.storedSize >= 0 ? e.storedSize : static_cast<int64_t>(size));
    const auto local = static_cast<uint32_t>(e.localSize >= 0 ? e.localSize : static_cast<int64_t>(e.bytes.size()));
    const std::string& localName = e.localName.empty() ? e.name : e.localName;
    file += "PK\x03\x04" + le<uint16_t>(20) + le(e.flags) + le(e.method) + std::string(8, '\0') + le(local) +
            le(local) + le(static_cast<uint16_t>(localName.size())) + le<uint16_t>(0) + localName + e.bytes;
    const std::string extra = e.zip64 ? le<uint16_t>(1) + le<uint16_t>(24) + le(size) + le(stored) + le(offset) : "";
    const auto narrow = [&](uint64_t value) { return le(e.zip64 ? 0xFFFFFFFFu : static_cast<uint32_t>(value)); };
    table += "PK\x01\x02" + le<uint16_t>(20) + le<uint16_t>(20) + le(e.flags) + le(e.method) + std::string(8, '\0') +
             narrow(stored) + narrow(size) + le(static_cast<uint16_t>(e.name.size())) +
             le(static_cast<uint16_t>(extra.size())) + le<uint16_t>(0) + le<uint16_t>(0) + le<uint16_t>(0) +
             le<uint32_t>(0) + narrow(offset) + e.name + extra;
  }
  file += options.beforeTable;
  const auto count =
      static_cast<uint64_t>(options.entries >= 0 ? options.entries : static_cast<int64_t>(entries.size()));
  const auto at =
      static_cast<uint64_t>(options.tableOffset >= 0 ? options.tableOffset : static_cast<int64_t>(file.size()));
  const auto bytes =
      static_cast<uint64_t>(options.tableSize >= 0 ? options.tableSize : static_cast<int64_t>(table.size()));
  file += table + options.afterTable;
  if (options.wideEnd) {
    const uint64_t record = file.size();
    file += "PK\x06\x06" + le<uint64_t>(44) + le<uint16_t>(45) + le<uint16_t>(45) + le<uint32_t>(0) + le<uint32_t>(0) +
            le(count) + le(count) + le(bytes) + le(at);
    file += "PK\x06\x07" + le<uint32_t>(0) + le(record) + le<uint32_t>(1);
  }
  file += "PK\x05\x06" + le(options.disk) + le(options.disk) + le(static_cast<uint16_t>(count)) +
          le(static_cast<uint16_t>(count)) + le(static_cast<uint32_t>(bytes)) + le(static_cast<uint32_t>(at)) +
          le(static_cast<uint16_t>(options.comment.size())) + options.comment;
  return file;
}

// Pickle instructions.
inline std::string number(int32_t value) { return "J" + le(value); }
inline std::string text(const std::string& value) { return "X" + le(static_cast<uint32_t>(value.size())) + value; }
inline std::string name(const std::string& module, const std::string& what) {
  return "c" + module + "\n" + what + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string all = "(";
  for (const std::string& item : items) all += item;
  return all + "t";
}
inline std::string sizes(const std::vector<int32_t>& values) {
  std::vector<std::string> items;
  for (const int32_t value : values) items.push_back(number(value));
  return tuple(items);
}
inline std::string storage(const std::string& type, const std::string& key, int32_t elements,
                           const std::string& more = "") {
  return tuple({text("storage"), name("torch", type), text(key), text("cpu"), number(elements) + more}) + "Q";
}
inline std::string emptyDict() { return name("collections", "OrderedDict") + ")R"; }
inline std::string tensor(const std::string& source, int32_t offset, const std::vector<int32_t>& shape,
                          const std::vector<int32_t>& strides) {
  return name("torch._utils", "_rebuild_tensor_v2") +
         tuple({source, number(offset), sizes(shape), sizes(strides), "\x89", emptyDict()}) + "R";
}
// A whole pickle of a dictionary of (key, value) instructions.
inline std::string dictPickle(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string all = "\x80\x02" + emptyDict() + "(";
  for (const auto& [key, value] : items) all += text(key) + value;
  return all + "u.";
}

inline std::string floats(const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) bytes += le(value);
  return bytes;
}

// An archive of one pickle and float storages "0", "1", ….
inline std::string torchZip(const std::string& pickle, const std::vector<std::string>& storages,
                            const ZipOptions& options = {}) {
  std::vector<Entry> entries = {{"m/data.pkl", pickle}};
  for (size_t i = 0; i < storages.size(); ++i) entries.push_back({"m/data/" + std::to_string(i), storages[i]});
  entries.push_back({"m/version", "3\n"});
  return zip(entries, options);
}

inline std::string legacy(const std::string& pickle, const std::vector<std::pair<std::string, std::string>>& storages,
                          int32_t width = 4) {
  std::string file("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  file +=
      "\x80\x02"
      "M\xe9\x03.";
  file += "\x80\x02}(" + text("protocol_version") + "M\xe9\x03" + text("little_endian") + "\x88u.";
  file += pickle;
  file += "\x80\x02](";
  for (const auto& [key, bytes] : storages) file += text(key);
  file += "e.";
  for (const auto& [key, bytes] : storages)
    file += le(static_cast<uint64_t>(bytes.size()) / static_cast<uint64_t>(width)) + bytes;
  return file;
}

}  // namespace archive

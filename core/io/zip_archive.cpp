#include "core/io/zip_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/config/text_shown.h"
#include "core/io/byte_reader.h"

namespace rankscope {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralEntry = 0x02014b50, kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr uint16_t kEncrypted = 1u << 0, kSizesFollow = 1u << 3, kStrongEncryption = 1u << 6, kMaskedTable = 1u << 13;
constexpr size_t kEndBytes = 22, kLocatorBytes = 20;
constexpr uint64_t kMaxEntries = 1'000'000;
constexpr uint32_t kElsewhere32 = 0xFFFFFFFF;  // the value stands in the zip64 field instead
constexpr uint16_t kElsewhere16 = 0xFFFF;
constexpr const char* kDamaged = "Perhaps the download was cut off or the file is damaged: fetch it again.";

Error bad(const std::string& where, std::string what, std::string found, std::string expected,
          const char* hint = kDamaged) {
  return Error{ErrorCode::BadInput, std::move(what), where, std::move(found), std::move(expected), hint};
}

struct Table {
  uint64_t offset = 0, size = 0, entries = 0;
  uint64_t end = 0;  // where the records behind the table begin
};

// The record at the end of the file: behind it lies only its own comment.
std::optional<size_t> findEnd(std::string_view bytes) {
  if (bytes.size() < kEndBytes) return std::nullopt;
  const size_t last = bytes.size() - kEndBytes;
  for (size_t at = last;; --at) {
    ByteReader reader(bytes, at);
    if (reader.u32() == kEnd && ByteReader(bytes, at + 20).u16() == last - at) return at;
    if (at == 0 || last - at >= 0xFFFF) return std::nullopt;
  }
}

Result<Table> findTable(std::string_view bytes, const std::string& where) {
  const std::optional<size_t> end = findEnd(bytes);
  if (!end) return bad(where, "zip archive has no end", "", "a table of entries at the end of the file");
  ByteReader reader(bytes, *end + 4);
  const uint16_t disk = reader.u16(), tableDisk = reader.u16(), here = reader.u16(), total = reader.u16();
  const uint32_t size = reader.u32(), offset = reader.u32();
  Table table{offset, size, total, *end};
  const bool needed = offset == kElsewhere32 || size == kElsewhere32 || total == kElsewhere16;
  // PyTorch writes the 64-bit record always.
  const bool wide = *end >= kLocatorBytes && ByteReader(bytes, *end - kLocatorBytes).u32() == kEnd64Locator;
  if (needed && !wide) return bad(where, "zip archive lacks its 64-bit record", "", "a zip64 record before the end");
  if (disk != 0 || tableDisk != 0 || here != total)
    return bad(where, "zip archive is a part of several", fmt::format("disk {}", disk), "one file",
               "Join the parts, or fetch the file as one.");
  if (wide) {
    ByteReader locator(bytes, *end - kLocatorBytes + 4);
    const uint32_t recordDisk = locator.u32();
    const uint64_t recordAt = locator.u64();
    const uint32_t disks = locator.u32();
    if (recordAt > *end - kLocatorBytes || recordDisk != 0 || disks > 1)
      return bad(where, "zip archive's 64-bit record lies elsewhere", fmt::format("offset {}", recordAt),
                 "inside the file");
    ByteReader record(bytes, static_cast<size_t>(recordAt));
    const uint32_t signature = record.u32();
    record.skip(8 + 2 + 2);
    const uint32_t thisDisk = record.u32(), startDisk = record.u32();
    const uint64_t entriesHere = record.u64(), entries = record.u64();
    table = {0, record.u64(), entries, recordAt};
    table.offset = record.u64();
    if (record.failed() || signature != kEnd64 || thisDisk != 0 || startDisk != 0 || entriesHere != entries)
      return bad(where, "zip archive's 64-bit record is wrong", "", "one zip64 record for one disk");
    if ((offset != kElsewhere32 && offset != table.offset) || (size != kElsewhere32 && size != table.size) ||
        (total != kElsewhere16 && total != table.entries))
      return bad(where, "zip archive's two end records differ",
                 fmt::format("{} and {} bytes at {} and {}", size, table.size, offset, table.offset), "equal");
  }
  if (table.entries > kMaxEntries)
    return bad(where, "zip archive names too many entries", fmt::format("{}", table.entries),
               fmt::format("at most {}", kMaxEntries));
  if (table.offset > table.end || table.size != table.end - table.offset)
    return bad(where, "zip archive's table does not lie where it should",
               fmt::format("{} bytes at {}", table.size, table.offset), fmt::format("up to {}", table.end));
  return table;
}

// Sizes and offset of an entry, with those that stand in the zip64 field.
bool readWideFields(std::string_view extra, uint64_t& size, uint64_t& stored, uint64_t* offset) {
  ByteReader reader(extra);
  while (reader.left() >= 4) {
    const uint16_t id = reader.u16();
    ByteReader field(reader.bytes(reader.u16()));
    if (reader.failed()) return false;
    if (id != 1) continue;
    if (size == kElsewhere32) size = field.u64();
    if (stored == kElsewhere32) stored = field.u64();
    if (offset && *offset == kElsewhere32) *offset = field.u64();
    if (field.failed()) return false;
  }
  return true;
}

Error refused(const std::string& at, uint16_t method) {
  return bad(at, "entry of the archive is compressed", method == 8 ? "deflate" : fmt::format("method {}", method),
             "an entry stored as it is",
             "PyTorch stores checkpoints as they are; this is a TorchScript program or was packed by hand. Load it with "
             "PyTorch and save its state_dict, best as safetensors.");
}

// The entry's own header must tell the same as the table.
Result<void> checkLocal(std::string_view bytes, const Table& table, ZipEntry& entry, uint16_t tableFlags,
                        const std::string& at) {
  if (entry.header >= table.offset)
    return bad(at, "entry begins behind the table", fmt::format("{}", entry.header), "");
  ByteReader reader(bytes, static_cast<size_t>(entry.header));
  const uint32_t signature = reader.u32();
  reader.skip(2);
  const uint16_t flags = reader.u16(), method = reader.u16();
  reader.skip(8);
  uint64_t stored = reader.u32(), size = reader.u32();
  const uint16_t nameBytes = reader.u16(), extraBytes = reader.u16();
  const std::string_view name = reader.bytes(nameBytes), extra = reader.bytes(extraBytes);
  if (reader.failed() || signature != kLocalHeader)
    return bad(at, "entry has no header where the table says", fmt::format("offset {}", entry.header), "");
  if (method != 0) return refused(at, method);
  if (name != entry.name || ((flags ^ tableFlags) & (kEncrypted | kSizesFollow)) != 0)
    return bad(at, "entry's header contradicts the table", shown(name), shown(entry.name));
  if (!readWideFields(extra, size, stored, nullptr)) return bad(at, "entry's header has a broken field", "", "");
  const bool unknown = (flags & kSizesFollow) != 0 && size == 0 && stored == 0;
  if (!unknown && (size != entry.size || stored != entry.size))
    return bad(at, "entry's header contradicts the table", fmt::format("{} bytes", size),
               fmt::format("{} bytes", entry.size));
  entry.offset = reader.at();
  if (entry.offset > table.offset || entry.size > table.offset - entry.offset)
    return bad(at, "entry does not fit into the file", fmt::format("{} bytes at {}", entry.size, entry.offset),
               fmt::format("up to {}", table.offset));
  return {};
}

}  // namespace

Result<ZipArchive> ZipArchive::parse(std::string_view bytes, const std::string& where) {
  Result<Table> table = findTable(bytes, where);
  if (!table) return table.error();
  ZipArchive archive;
  ByteReader reader(bytes.substr(0, static_cast<size_t>(table->end)), static_cast<size_t>(table->offset));
  for (uint64_t i = 0; i < table->entries; ++i) {
    const uint32_t signature = reader.u32();
    reader.skip(4);
    const uint16_t flags = reader.u16(), method = reader.u16();
    reader.skip(8);
    uint64_t stored = reader.u32(), size = reader.u32();
    const uint16_t nameBytes = reader.u16(), extraBytes = reader.u16(), commentBytes = reader.u16(),
                   disk = reader.u16();
    reader.skip(6);
    uint64_t offset = reader.u32();
    const std::string_view name = reader.bytes(nameBytes), extra = reader.bytes(extraBytes);
    reader.skip(commentBytes);
    if (reader.failed() || signature != kCentralEntry)
      return bad(where, "zip archive's table breaks off", fmt::format("entry {}", i + 1),
                 fmt::format("{} entries", table->entries));
    const std::string at = fmt::format("{}: entry {}", where, shown(name));
    if ((flags & (kEncrypted | kStrongEncryption | kMaskedTable)) != 0)
      return bad(at, "entry of the archive is encrypted", "", "an entry stored as it is",
                 "Save it without a password.");
    if (method != 0) return refused(at, method);
    if (!readWideFields(extra, size, stored, &offset) || disk != 0)
      return bad(at, "entry of the table has a broken field", "", "");
    if (size != stored)
      return bad(at, "sizes of a stored entry differ", fmt::format("{} and {}", size, stored), "equal sizes");
    ZipEntry entry{std::string(name), offset, 0, size};
    if (auto good = checkLocal(bytes, *table, entry, flags, at); !good) return good.error();
    archive.m_entries.push_back(std::move(entry));
  }
  if (reader.left() != 0)
    return bad(where, "bytes follow the archive's table", fmt::format("{} bytes", reader.left()), "none");
  std::sort(archive.m_entries.begin(), archive.m_entries.end(),
            [](const ZipEntry& a, const ZipEntry& b) { return a.header < b.header; });
  for (size_t i = 0; i < archive.m_entries.size(); ++i) {
    const ZipEntry& entry = archive.m_entries[i];
    const std::string at = fmt::format("{}: entry {}", where, shown(entry.name));
    if (i > 0 && entry.header < archive.m_entries[i - 1].offset + archive.m_entries[i - 1].size)
      return bad(at, "entries of the archive overlap", fmt::format("with {}", shown(archive.m_entries[i - 1].name)),
                 "");
    if (!archive.m_index.emplace(entry.name, i).second)
      return bad(at, "two entries of the archive have the same name", "", "each name once");
  }
  return archive;
}

const ZipEntry* ZipArchive::find(const std::string& name) const {
  const auto found = m_index.find(name);
  return found == m_index.end() ? nullptr : &m_entries[found->second];
}

}  // namespace rankscope

#pragma once
// The table of a zip archive whose entries are stored as they are (which is how PyTorch writes its files). Nothing is
// unpacked: an entry is a range of the file. Refused by name: compressed and encrypted entries, repeated names, ranges
// that overlap or leave the file, tables that contradict the entries' own headers. Free functions, any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

struct ZipEntry {
  std::string name;
  uint64_t header = 0;  // where the entry's own header begins
  uint64_t offset = 0;  // where its bytes begin
  uint64_t size = 0;
};

class ZipArchive {
 public:
  // `bytes` is the whole file; `where` names it in errors.
  static Result<ZipArchive> parse(std::string_view bytes, const std::string& where);

  const std::vector<ZipEntry>& entries() const { return m_entries; }  // in the order of their bytes
  const ZipEntry* find(const std::string& name) const;

 private:
  std::vector<ZipEntry> m_entries;
  std::unordered_map<std::string, size_t> m_index;
};

}  // namespace rankscope

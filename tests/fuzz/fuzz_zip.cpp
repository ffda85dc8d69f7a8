// Any bytes as a zip archive: refused with a hint, or entries that lie within the file, apart, under different names.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "core/io/zip_archive.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<ZipArchive> archive = ZipArchive::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!archive) {
    if (archive.error().hint.empty()) std::abort();
    return 0;
  }
  uint64_t end = 0;
  std::set<std::string> names;
  for (const ZipEntry& entry : archive->entries()) {
    if (entry.header < end || entry.offset < entry.header || entry.size > size || entry.offset > size - entry.size)
      std::abort();
    if (!names.insert(entry.name).second || archive->find(entry.name) != &entry) std::abort();
    end = entry.offset + entry.size;
  }
  return 0;
}

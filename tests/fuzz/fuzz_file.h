#pragma once
// A file with given bytes for parsers that take a path: one folder per process, rewritten for each input.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>

inline const std::filesystem::path& fuzzFolder() {
  static const std::filesystem::path folder = [] {
    std::string pattern = (std::filesystem::temp_directory_path() / "rankscope-fuzz-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) std::abort();
    std::atexit([] {
      std::error_code code;
      std::filesystem::remove_all(fuzzFolder(), code);
    });
    return std::filesystem::path(pattern);
  }();
  return folder;
}

inline std::filesystem::path fuzzFile(const std::string& name, std::string_view bytes) {
  const std::filesystem::path path = fuzzFolder() / name;
  std::ofstream(path, std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

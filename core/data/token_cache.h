#pragma once
// Tokenised files kept between runs, one file per (content, tokenizer, settings). A damaged or foreign cache file is not
// an error: it is not used, and is written anew. Any thread; writing is atomic.

#include <filesystem>
#include <optional>
#include <string>

#include "core/data/prepare.h"

namespace rankscope {

class TokenCache {
 public:
  // `key` is a hash in hexadecimal; an empty folder turns the cache off.
  TokenCache(std::filesystem::path folder, std::string key);
  // `vocabSize` bounds every id, so that no file can lead a model's embedding outside its table.
  std::optional<PreparedFile> load(int64_t vocabSize) const;
  void save(const PreparedFile& file) const;
  const std::filesystem::path& path() const { return m_path; }

 private:
  std::filesystem::path m_path;
};

}  // namespace rankscope

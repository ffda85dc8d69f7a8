#pragma once
// What the program keeps only to save time: base weights' singular vectors, sought starts, tokenised data. All of it can be
// made again; how large it is and how to be rid of it. Any thread; a file that another process removes meanwhile is no
// error.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

struct CacheShare {
  std::string name;   // "svd": the folder below the cache
  std::string holds;  // for people
  int64_t bytes = 0, entries = 0;
};

// All that are known, whether there is anything in them or not, in a fixed order.
std::vector<CacheShare> cacheShares(const std::filesystem::path& cache);

// Removes what is in one of them; the bytes that were freed. A name that is not known is an error.
Result<int64_t> clearCache(const std::filesystem::path& cache, const std::string& name);

}  // namespace rankscope

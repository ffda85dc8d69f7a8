#include "core/config/cache_care.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace rankscope {
namespace {

namespace fs = std::filesystem;

struct Known {
  const char *name, *holds;
};
constexpr Known kKnown[] = {{"svd", "singular vectors of base weights"},
                            {"starts", "starts that methods sought in the base weights"},
                            {"tokens", "tokenised data"}};

}  // namespace

std::vector<CacheShare> cacheShares(const fs::path& cache) {
  std::vector<CacheShare> shares;
  for (const Known& known : kKnown) {
    CacheShare share{known.name, known.holds};
    std::error_code gone;
    for (fs::recursive_directory_iterator at(cache / known.name, gone), end; !gone && at != end; at.increment(gone)) {
      std::error_code code;
      if (!at->is_regular_file(code) || code) continue;
      const auto size = at->file_size(code);
      if (code) continue;
      share.bytes += static_cast<int64_t>(size);
      ++share.entries;
    }
    shares.push_back(std::move(share));
  }
  return shares;
}

Result<int64_t> clearCache(const fs::path& cache, const std::string& name) {
  for (const CacheShare& share : cacheShares(cache)) {
    if (share.name != name) continue;
    std::error_code code;
    // The folder stays: someone may be about to write into it.
    for (fs::directory_iterator at(cache / name, code), end; !code && at != end; at.increment(code)) {
      std::error_code kept;
      fs::remove_all(at->path(), kept);
      if (kept)
        return Error{ErrorCode::Io, "a file of the cache cannot be removed", at->path().string(), kept.message(), "a folder that may be written to",
                     "Look at the folder's owner and rights."};
    }
    return share.bytes;
  }
  std::vector<std::string> names;
  for (const Known& known : kKnown) names.emplace_back(known.name);
  return Error{ErrorCode::Usage, "there is no such part of the cache", "cache", name, fmt::format("{}", fmt::join(names, ", ")),
               "See `rankscope-train cache list`."};
}

}  // namespace rankscope

#pragma once
// The store's schema as numbered steps (migrations/NNNN_name.sql, embedded at configure time). A released step is never
// edited; a change is a new file. `PRAGMA user_version` says how many have been applied.

#include <vector>

namespace rankscope {

struct Migration {
  int version = 0;
  const char* name = "";
  const char* sql = "";
};
const std::vector<Migration>& migrations();  // ascending from 1, without gaps
inline int latestStoreVersion() { return static_cast<int>(migrations().size()); }

}  // namespace rankscope

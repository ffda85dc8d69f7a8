#include "core/train/process_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

namespace rankscope {
namespace {

// Value in bytes of a line such as "VmHWM:   1234 kB"; -1 when the file has none.
int64_t kilobyteField(const char* path, const char* field) {
  std::ifstream file(path);
  std::string line;
  const size_t length = std::strlen(field);
  while (std::getline(file, line)) {
    if (line.compare(0, length, field) == 0 && line.size() > length && line[length] == ':')
      return std::strtoll(line.c_str() + length + 1, nullptr, 10) * 1024;
  }
  return -1;
}

int64_t numberIn(const char* path) {
  std::ifstream file(path);
  int64_t value = -1;
  if (!(file >> value)) return -1;  // "max" means no limit
  return value;
}

}  // namespace

ProcessMemory readProcessMemory() {
  ProcessMemory memory;
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  if (statm >> total >> resident) memory.resident = resident * sysconf(_SC_PAGESIZE);
  memory.peak = std::max(memory.resident, kilobyteField("/proc/self/status", "VmHWM"));
  return memory;
}

int64_t availableMemory() {
  int64_t available = std::max<int64_t>(0, kilobyteField("/proc/meminfo", "MemAvailable"));
  const int64_t limit = numberIn("/sys/fs/cgroup/memory.max");
  const int64_t used = numberIn("/sys/fs/cgroup/memory.current");
  if (limit > 0 && used >= 0) available = std::min(available, std::max<int64_t>(0, limit - used));
  struct rlimit space = {};
  if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
    available = std::min(available, std::max<int64_t>(0, static_cast<int64_t>(space.rlim_cur) -
                                                             kilobyteField("/proc/self/status", "VmSize")));
  return available;
}

}  // namespace rankscope

#pragma once
// Memory of this process and of the machine, read from /proc and, in a container, from the control group. Any thread.

#include <cstdint>

namespace rankscope {

struct ProcessMemory {
  int64_t resident = 0;  // bytes in RAM now
  int64_t peak = 0;      // largest resident size so far
};
ProcessMemory readProcessMemory();

// Bytes that a new allocation may still take: the kernel's estimate, cut by the control group's limit and by the
// process's own (ulimit -v). 0 when unknown.
int64_t availableMemory();

}  // namespace rankscope

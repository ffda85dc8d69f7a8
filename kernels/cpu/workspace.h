#pragma once
// Memory that an operator needs only while it runs: kept per thread and grown as needed, so that a training step does
// not ask the system for the same pages again and again. Slots of one call do not overlap; calls do not nest.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace rankscope::kernels::cpu {

class Workspace {
 public:
  static Workspace& ofThisThread() {
    static thread_local Workspace workspace;
    return workspace;
  }
  template <typename T>
  T* slot(size_t index, int64_t count) {
    if (index >= m_slots.size()) m_slots.resize(index + 1);
    auto& slot = m_slots[index];
    const auto bytes = (static_cast<size_t>(count) * sizeof(T) + 127) / 64 * 64;
    if (slot.bytes < bytes) {
      slot.memory.reset();
      slot.memory.reset(std::aligned_alloc(64, bytes));
      if (!slot.memory) throw std::bad_alloc();
      slot.bytes = bytes;
    }
    return static_cast<T*>(slot.memory.get());
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  struct Slot {
    std::unique_ptr<void, Free> memory;
    size_t bytes = 0;
  };
  std::vector<Slot> m_slots;
};

}  // namespace rankscope::kernels::cpu

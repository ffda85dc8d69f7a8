#pragma once
// The store's one writer at a time. SQLite before 3.51.3 can damage a WAL database when two connections write or
// checkpoint at the same instant, so whoever writes first takes an exclusive flock on store.lock beside the file. The
// kernel drops it with the process, so a kill leaves nothing behind. One object per connection, one thread at a time.

#include <chrono>
#include <filesystem>
#include <string>

#include "core/config/result.h"

namespace rankscope {

class WriterLock {
 public:
  explicit WriterLock(std::filesystem::path file) : m_file(std::move(file)) {}
  ~WriterLock();
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

  // Waits at most `timeout`; then an Error of code Store that names the holder. Not recursive.
  Result<void> acquire(std::chrono::milliseconds timeout);
  void release();
  bool held() const { return m_held; }

 private:
  std::string holder() const;
  std::filesystem::path m_file;
  int m_descriptor = -1;
  bool m_held = false;
};

}  // namespace rankscope

#pragma once
// A file that exists while the workbench runs. Finding one of a process that is gone means that the last session ended
// badly; the user is told that nothing was lost. Made and removed on the main thread, at start and end only.

#include <filesystem>

namespace rankscope::ui {

class CrashMarker {
 public:
  explicit CrashMarker(const std::filesystem::path& home);
  ~CrashMarker();
  bool lastSessionCrashed() const { return m_crashed; }

 private:
  std::filesystem::path m_file;
  bool m_crashed = false;
};

}  // namespace rankscope::ui

#include "app/workbench/crash_marker.h"

#include "core/config/files.h"

#include <csignal>
#include <cstdlib>
#include <string>
#include <unistd.h>

namespace rankscope::ui {

CrashMarker::CrashMarker(const std::filesystem::path& home) : m_file(home / "workbench.running") {
  if (const auto left = readFileBounded(m_file, 64); left.ok()) {
    const long pid = std::strtol(left->c_str(), nullptr, 10);
    m_crashed = pid <= 0 || pid == getpid() || ::kill(static_cast<pid_t>(pid), 0) != 0;
  }
  // Without the marker the next start cannot tell; that is no reason not to start.
  if (const auto written = writeFileAtomically(m_file, std::to_string(getpid()), Durability::Renamed); !written.ok()) return;
}

CrashMarker::~CrashMarker() {
  std::error_code ignored;
  std::filesystem::remove(m_file, ignored);
}

}  // namespace rankscope::ui

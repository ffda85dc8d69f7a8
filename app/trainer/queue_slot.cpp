#include "app/trainer/queue_slot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <sstream>

#include "app/trainer/child_process.h"

namespace rankscope {

std::vector<std::string> deviceSlots() {
  std::vector<std::string> slots;
  std::error_code failure;
  for (int number = 0; number < 64; ++number)
    if (std::filesystem::exists(fmt::format("/dev/nvidia{}", number), failure))
      slots.push_back(fmt::format("cuda:{}", slots.size()));
  if (slots.empty()) slots.push_back("cpu");
  return slots;
}

std::string workerName(const std::string& slot) {
  return fmt::format("{} {} {} {} {}", hostName(), ::getpid(), processStartTicks(::getpid()), bootId(), slot);
}

QueueWorker workerFrom(const std::string& text) {
  QueueWorker worker;
  std::istringstream parts(text);
  parts >> worker.process.host >> worker.process.pid >> worker.process.startTicks >> worker.process.bootId >>
      worker.slot;
  worker.process.state = event::RunState::Running;
  return worker;
}

bool workerAlive(const std::string& text) {
  const Liveness liveness = livenessOf(workerFrom(text).process);
  return liveness == Liveness::Live || liveness == Liveness::Unknown;
}

SlotLock::SlotLock(const std::filesystem::path& home, const std::string& slot) {
  std::string name = slot;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '-');
  m_file = home / ("queue-" + name + ".lock");
}

SlotLock::~SlotLock() {
  if (m_descriptor >= 0) ::close(m_descriptor);
}

bool SlotLock::acquire() {
  if (m_descriptor < 0) m_descriptor = ::open(m_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  m_held = m_held || (m_descriptor >= 0 && ::flock(m_descriptor, LOCK_EX | LOCK_NB) == 0);
  return m_held;
}

void SlotLock::release() {
  if (m_held) ::flock(m_descriptor, LOCK_UN);
  m_held = false;
}

}  // namespace rankscope

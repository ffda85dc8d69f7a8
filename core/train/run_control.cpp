#include "core/train/run_control.h"

#include <chrono>

#include "core/train/stop_signal.h"

namespace rankscope {

using namespace std::chrono_literals;

RunControl::RunControl(const std::filesystem::path& runFolder, EventWriter& events, bool resumed)
    : m_reader(runFolder), m_events(events) {
  if (resumed) m_reader.skipPresent();
  m_thread = std::thread([this] { loop(); });
}

RunControl::~RunControl() {
  {
    const std::lock_guard lock(m_mutex);
    m_quit = true;
  }
  m_wake.notify_all();
  m_thread.join();
}

bool RunControl::signalled() const { return StopSignal::requested(); }

bool RunControl::anythingWanted() const {
  return pauseWanted() || leaveWanted() || otherWanted();
}

bool RunControl::otherWanted() const { return m_checkpoint || m_evaluate || m_sample; }

void RunControl::apply(const ControlRequest& request) {
  switch (request.command) {
    case Command::Pause: m_pause = true; break;
    case Command::Continue: m_pause = false; break;
    case Command::Checkpoint: m_checkpoint = true; break;
    case Command::Evaluate: m_evaluate = true; break;
    case Command::Sample: m_sample = true; break;
    case Command::Stop: m_stop = true; break;
  }
  m_events.append(event::CommandDone{request.id, commandName(request.command), m_step.load()});
}

void RunControl::loop() {
  bool signalSeen = false;
  std::unique_lock lock(m_mutex);
  while (!m_quit) {
    lock.unlock();
    const std::vector<ControlRequest> requests = m_reader.poll();
    for (const ControlRequest& request : requests) apply(request);
    const bool newSignal = signalled() && !signalSeen;
    signalSeen |= newSignal;
    lock.lock();
    if (!requests.empty() || newSignal) {
      ++m_arrivals;
      m_wake.notify_all();
    }
    m_wake.wait_for(lock, 100ms, [this] { return m_quit; });
  }
}

void RunControl::waitForWish(int milliseconds) {
  std::unique_lock lock(m_mutex);
  const uint64_t before = m_arrivals;
  m_wake.wait_for(lock, std::chrono::milliseconds(milliseconds), [&] { return m_quit || m_arrivals != before; });
}

}  // namespace rankscope

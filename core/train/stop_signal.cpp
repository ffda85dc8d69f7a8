#include "core/train/stop_signal.h"

#include <csignal>

#include <atomic>

namespace rankscope {
namespace {

std::atomic<int> requestedSignals{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");
struct sigaction previousTerminate, previousInterrupt;

void onSignal(int signal) {
  if (requestedSignals.fetch_add(1) > 0 && signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
}

}  // namespace

StopSignal::StopSignal() {
  requestedSignals = 0;
  struct sigaction action = {};
  action.sa_handler = onSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // reads and writes under way are finished, not broken off
  sigaction(SIGTERM, &action, &previousTerminate);
  sigaction(SIGINT, &action, &previousInterrupt);
}

StopSignal::~StopSignal() {
  sigaction(SIGTERM, &previousTerminate, nullptr);
  sigaction(SIGINT, &previousInterrupt, nullptr);
}

bool StopSignal::requested() { return requestedSignals.load(std::memory_order_relaxed) > 0; }

}  // namespace rankscope

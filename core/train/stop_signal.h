#pragma once
// SIGTERM and SIGINT as a request: checkpoint, mark the run as interrupted, leave. A second SIGINT ends at once.

namespace rankscope {

// Installs the handlers for this process; the previous ones come back when the object goes. One at a time.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  static bool requested();  // any thread
};

}  // namespace rankscope

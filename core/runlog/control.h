#pragma once
// Wishes from outside for a running trainer: control.json in the run's folder. The GUI and the command line write it
// (under a lock, atomically), the trainer polls it; it acknowledges by event::CommandDone with the wish's id.

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

enum class Command { Pause, Continue, Checkpoint, Evaluate, Sample, Stop };
const char* commandName(Command command);
Result<Command> commandFromName(const std::string& name);

struct ControlRequest {
  std::string id;  // uuid
  Command command = Command::Pause;
  double at = 0;  // unix seconds
};

class ControlWriter {
 public:
  // Adds a wish; returns its id. Blocks for the disk: not on the GUI's thread.
  static Result<std::string> send(const std::filesystem::path& runFolder, Command command);
};

// One thread. Remembers what it has delivered.
class ControlReader {
 public:
  explicit ControlReader(const std::filesystem::path& runFolder);
  // Wishes that are new since the last call, oldest first. One stat() when nothing changed. A file that cannot be
  // understood is logged once and otherwise passed over.
  std::vector<ControlRequest> poll();
  // Takes what lies there now as done: wishes of an earlier life, when a run is resumed.
  void skipPresent();

 private:
  std::vector<ControlRequest> readNew();
  std::filesystem::path m_file;
  std::set<std::string> m_seen;
  int64_t m_modifiedNs = -1, m_size = -1;
  uint64_t m_inode = 0;
  bool m_complained = false;
};

}  // namespace rankscope

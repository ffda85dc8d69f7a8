#include "app/trainer/commands.h"

namespace rankscope {

const std::vector<CommandEntry>& commandEntries() {
  static const std::vector<CommandEntry> entries = {
      {"Runs", addTrainCommand},
      {"Runs", addResumeCommand},
      {"Runs", addBranchCommand},
      {"Runs", addControlCommand},
      {"Reference", addMethodsCommand},
      {"Reference", addPresetsCommand},
      {"Reference", addOptionsCommand},
  };
  return entries;
}

}  // namespace rankscope

#include "app/trainer/commands.h"

namespace rankscope {

const std::vector<CommandEntry>& commandEntries() {
  static const std::vector<CommandEntry> entries = {
      {"Runs", addTrainCommand},
      {"Runs", addResumeCommand},
      {"Runs", addBranchCommand},
      {"Runs", addControlCommand},
      {"Results", addEvalCommand},
      {"Results", addGenerateCommand},
      {"Results", addSpectrumCommand},
      {"Results", addMergeCommand},
      {"Results", addExportCommand},
      {"Reference", addModelsCommand},
      {"Reference", addMethodsCommand},
      {"Reference", addPresetsCommand},
      {"Reference", addOptionsCommand},
      {"Tools", addBenchCommand},
  };
  return entries;
}

}  // namespace rankscope

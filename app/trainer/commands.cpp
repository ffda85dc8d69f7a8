#include "app/trainer/commands.h"

namespace rankscope {

const std::vector<CommandEntry>& commandEntries() {
  static const std::vector<CommandEntry> entries = {
      {"Runs", addTrainCommand},
      {"Runs", addTwinsCommand},
      {"Runs", addCheckCommand},
      {"Runs", addResumeCommand},
      {"Runs", addBranchCommand},
      {"Runs", addControlCommand},
      {"Runs", addQueueCommand},
      {"Runs", addSweepCommand},
      {"Results", addStoreCommand},
      {"Results", addEvalCommand},
      {"Results", addGenerateCommand},
      {"Results", addSpectrumCommand},
      {"Results", addMitigateCommand},
      {"Results", addMergeCommand},
      {"Results", addExportCommand},
      {"Results", addImportCommand},
      {"Reference", addModelsCommand},
      {"Reference", addDataCommand},
      {"Reference", addTokenizeCommand},
      {"Reference", addMethodsCommand},
      {"Reference", addPresetsCommand},
      {"Reference", addOptionsCommand},
      {"Tools", addBenchCommand},
      {"Tools", addCacheCommand},
      {"Tools", addServeCommand},
  };
  return entries;
}

}  // namespace rankscope

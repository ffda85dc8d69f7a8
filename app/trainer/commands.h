#pragma once
// The sub-commands of rankscope-train, one file each. To add one: write app/trainer/<name>.cpp with its add function,
// declare it here and name it in commands.cpp.

#include "app/trainer/command.h"

namespace rankscope {

struct CommandEntry {
  const char* group;  // heading in --help
  void (*add)(CLI::App& root, CommandContext& context);
};
const std::vector<CommandEntry>& commandEntries();

void addTrainCommand(CLI::App& root, CommandContext& context);
void addResumeCommand(CLI::App& root, CommandContext& context);
void addBranchCommand(CLI::App& root, CommandContext& context);
void addControlCommand(CLI::App& root, CommandContext& context);
void addTwinsCommand(CLI::App& root, CommandContext& context);
void addCheckCommand(CLI::App& root, CommandContext& context);
void addStoreCommand(CLI::App& root, CommandContext& context);
void addQueueCommand(CLI::App& root, CommandContext& context);
void addSweepCommand(CLI::App& root, CommandContext& context);
void addServeCommand(CLI::App& root, CommandContext& context);
void addEvalCommand(CLI::App& root, CommandContext& context);
void addGenerateCommand(CLI::App& root, CommandContext& context);
void addMergeCommand(CLI::App& root, CommandContext& context);
void addExportCommand(CLI::App& root, CommandContext& context);
void addImportCommand(CLI::App& root, CommandContext& context);
void addBenchCommand(CLI::App& root, CommandContext& context);
void addDataCommand(CLI::App& root, CommandContext& context);
void addTokenizeCommand(CLI::App& root, CommandContext& context);
void addModelsCommand(CLI::App& root, CommandContext& context);
void addSpectrumCommand(CLI::App& root, CommandContext& context);
void addCacheCommand(CLI::App& root, CommandContext& context);
void addMitigateCommand(CLI::App& root, CommandContext& context);
nlohmann::json methodsDocument();  // the registry, as `methods --json` and serve give it
void addMethodsCommand(CLI::App& root, CommandContext& context);
void addOptionsCommand(CLI::App& root, CommandContext& context);
void addPresetsCommand(CLI::App& root, CommandContext& context);

}  // namespace rankscope

#pragma once
// --config, --preset, --published and --set, as every command that takes a run's config understands them.

#include <string>
#include <vector>

#include "app/trainer/command.h"
#include "core/config/run_config.h"

namespace rankscope {

struct ConfigArguments {
  std::string file, preset, published, name;
  std::vector<std::string> assignments;

  void declare(CLI::App* sub);
  bool nothingSaid() const { return file.empty() && preset.empty() && published.empty() && assignments.empty(); }
  // The published settings and the assignments, over a config from elsewhere. An error that is none of an assignment's
  // is returned.
  Result<void> assignTo(RunConfig& config, std::vector<Error>& mistakes) const;
  // File or preset with the published settings and the assignments on top, not checked yet.
  Result<RunConfig> readUnchecked(const Places& places, std::vector<Error>& mistakes) const;
  // The config; every mistake at once when there is one (files that it names included).
  Result<RunConfig> read(const Places& places, std::vector<Error>& mistakes) const;
};

// All mistakes of a config and of the files that it names.
std::vector<Error> configMistakes(const RunConfig& config, const Places& places);

}  // namespace rankscope

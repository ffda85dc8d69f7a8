#include "app/trainer/config_arguments.h"

#include "core/config/preset.h"
#include "core/config/published_settings.h"

namespace rankscope {

void ConfigArguments::declare(CLI::App* sub) {
  auto* fileOption = sub->add_option("--config", file, "A run's config, as JSON (a run's config.json will do)")->type_name("FILE");
  sub->add_option("--preset", preset, "A preset's name (see `rankscope-train presets`) or file")
      ->type_name("NAME")
      ->excludes(fileOption);
  sub->add_option("--published", published, "A method with the settings it was published with (see `rankscope-train methods`)")
      ->type_name("NAME");
  sub->add_option("--set", assignments, "Set an option: key=value (see `rankscope-train options`); may be given often")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  sub->add_option("--name", name, "Name of the run")->type_name("TEXT");
}

std::vector<Error> configMistakes(const RunConfig& config, const Places& places) {
  std::vector<Error> mistakes;
  for (const ValidationIssue& issue : validate(config)) mistakes.push_back(issue.error);
  if (mistakes.empty())
    for (const ValidationIssue& issue : validatePaths(config, places)) mistakes.push_back(issue.error);
  return mistakes;
}

Result<void> ConfigArguments::assignTo(RunConfig& config, std::vector<Error>& mistakes) const {
  const auto assign = [&](const std::vector<std::string>& texts) {
    for (const ValidationIssue& issue : config.assign(texts)) mistakes.push_back(issue.error);
  };
  if (!published.empty()) {
    auto settings = findPublished(published);
    if (!settings) return settings.error();
    assign(publishedAssignments(**settings, config));
  }
  assign(assignments);
  return {};
}

Result<RunConfig> ConfigArguments::readUnchecked(const Places& places, std::vector<Error>& mistakes) const {
  RunConfig config;
  if (!file.empty()) {
    Result<RunConfig> loaded = RunConfig::load(file);
    if (!loaded) return loaded.error();
    config = std::move(*loaded);
  } else if (!preset.empty()) {
    Result<Preset> found = findPreset(places, preset);
    if (!found) return found.error();
    config = found->config;
  }
  if (auto assigned = assignTo(config, mistakes); !assigned) return assigned.error();
  if (!name.empty())
    if (auto named = config.set("name", name); !named) return named.error();
  if (!mistakes.empty()) return mistakes.front();
  return config;
}

Result<RunConfig> ConfigArguments::read(const Places& places, std::vector<Error>& mistakes) const {
  Result<RunConfig> config = readUnchecked(places, mistakes);
  if (!config) return config;
  mistakes = configMistakes(*config, places);
  if (!mistakes.empty()) return mistakes.front();
  return config;
}

}  // namespace rankscope

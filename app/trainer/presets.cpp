// rankscope-train presets: named configs of the program and of the user.

#include "app/trainer/commands.h"
#include "core/config/preset.h"

namespace rankscope {

void addPresetsCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("presets", "List the presets, or show one");
  auto name = std::make_shared<std::string>();
  sub->add_option("NAME", *name, "Show this preset's config");
  context.run(sub, [&context, name]() -> int {
    if (!name->empty()) {
      Result<Preset> preset = findPreset(context.places, *name);
      if (!preset) return context.fail(preset.error());
      const nlohmann::json config = preset->config.toSparseJson();
      context.print({{"name", preset->name}, {"title", preset->title}, {"help", preset->help}, {"config", config}},
                    preset->title + "\n" + preset->help + "\n" + config.dump(2));
      return 0;
    }
    const PresetList list = loadPresets(context.places);
    TextTable table;
    table.header = {"preset", "from", "title", ""};
    nlohmann::json documents = nlohmann::json::array();
    for (const Preset& preset : list.presets) {
      documents.push_back({{"name", preset.name}, {"title", preset.title}, {"help", preset.help}, {"user", preset.user},
                           {"config", preset.config.toSparseJson()}});
      table.rows.push_back({preset.name, preset.user ? "you" : "program", preset.title, preset.help});
    }
    for (const Error& problem : list.problems) context.warn(problem.message());
    context.print(documents, table);
    return 0;
  });
}

}  // namespace rankscope

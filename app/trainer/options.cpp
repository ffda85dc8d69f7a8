// rankscope-train options: the table of options, as text, JSON Schema or Markdown.

#include "app/trainer/commands.h"
#include "core/config/option_spec.h"

namespace rankscope {
namespace {

nlohmann::json optionDocument(const OptionSpec& option) {
  nlohmann::json document = {{"key", option.key},       {"type", optionTypeName(option.type)},
                             {"title", option.title},   {"unit", option.unit},
                             {"default", option.defaultValue}, {"allowed", allowedText(option)},
                             {"applies", appliesText(option)}, {"help", option.help},
                             {"paper", option.paper},   {"group", option.group},
                             {"advanced", option.advanced}};
  document["choices"] = nlohmann::json::array();
  for (const OptionChoice& choice : option.choices)
    document["choices"].push_back({{"value", choice.value}, {"title", choice.title}, {"help", choice.help}});
  return document;
}

struct OptionsArguments {
  std::string words;
  bool schema = false, markdown = false;
};

}  // namespace

void addOptionsCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("options", "List every option of a run: key, default, range, meaning");
  auto arguments = std::make_shared<OptionsArguments>();
  sub->add_option("WORD", arguments->words, "Only options whose key, title or help contains this");
  auto* schema = sub->add_flag("--schema", arguments->schema, "The JSON Schema of a run's config instead");
  sub->add_flag("--markdown", arguments->markdown, "The reference page in Markdown instead")->excludes(schema);
  context.run(sub, [&context, arguments] {
    if (arguments->schema) {
      const nlohmann::json document = configSchema();
      context.print(document, document.dump(2));
      return 0;
    }
    if (arguments->markdown) {
      const std::string page = optionReferenceMarkdown();
      context.print({{"markdown", page}}, page);
      return 0;
    }
    TextTable table;
    table.header = {"option", "default", "allowed", "help"};
    nlohmann::json documents = nlohmann::json::array();
    for (const OptionSpec& option : optionTable()) {
      const std::string all = option.key + "\n" + option.title + "\n" + option.help;
      if (!arguments->words.empty() && all.find(arguments->words) == std::string::npos) continue;
      documents.push_back(optionDocument(option));
      table.rows.push_back({option.key, option.defaultValue.is_string() ? option.defaultValue.get<std::string>()
                                                                       : option.defaultValue.dump(),
                            allowedText(option), option.help});
    }
    context.print(documents, table);
    return 0;
  });
}

}  // namespace rankscope

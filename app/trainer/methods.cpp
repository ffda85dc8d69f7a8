// rankscope-train methods: what can be trained with, from the registry; one method's page in words.

#include "app/trainer/commands.h"
#include "core/config/method_texts.h"
#include "core/config/published_settings.h"
#include "core/methods/registry.h"

namespace rankscope {
namespace {

nlohmann::json publishedDocuments(const std::string& method) {
  nlohmann::json list = nlohmann::json::array();
  for (const PublishedSettings* settings : publishedFor(method)) {
    nlohmann::json values = nlohmann::json::object();
    for (const auto& [key, value] : settings->values) values[key] = value;
    list.push_back({{"name", settings->name}, {"title", settings->title}, {"note", settings->note},
                    {"unverified", settings->unverified}, {"values", values}});
  }
  return list;
}

nlohmann::json methodDocument(const MethodEntry& entry) {
  nlohmann::json document = {{"name", entry.name}, {"title", entry.title}, {"paper", entry.paper},
                             {"low_rank", entry.lowRank()}, {"published", publishedDocuments(entry.name)}};
  if (const MethodText* text = methodText(entry.name))
    document.update({{"group", methodGroupText(text->group).title},
                     {"formula", text->formula}, {"does", text->does}, {"choose", text->choose}, {"avoid", text->avoid},
                     {"count", text->count}, {"merge", text->merge}, {"files", text->files}});
  return document;
}

std::string methodPage(const MethodEntry& entry) {
  std::string page = entry.title + '\n';
  if (const MethodText* text = methodText(entry.name)) {
    page += fmt::format("{}\n\n{}\n{}\n{}\n\nTrains: {}\n{}\nFiles: {}\n", text->formula, text->does, text->choose,
                        text->avoid, text->count, text->merge, text->files);
  }
  if (!entry.paper.empty()) page += entry.paper + '\n';
  for (const PublishedSettings* settings : publishedFor(entry.name)) {
    page += fmt::format("\n--published {}: {}\n", settings->name, settings->title);
    for (const auto& [key, value] : settings->values) page += fmt::format("  {} = {}\n", key, value[0] == '=' ? value + 1 : value);
    if (*settings->note) page += fmt::format("  {}\n", settings->note);
    if (*settings->unverified) page += fmt::format("  From memory, not checked against the paper: {}.\n", settings->unverified);
  }
  return page;
}

}  // namespace

nlohmann::json methodsDocument() {
  nlohmann::json list = nlohmann::json::array();
  for (const MethodEntry& entry : methodEntries()) list.push_back(methodDocument(entry));
  return list;
}

void addMethodsCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("methods", "List the fine-tuning methods and where they come from, or show one");
  auto name = std::make_shared<std::string>();
  sub->add_option("NAME", *name, "Show what this method does and the settings it was published with");
  context.run(sub, [&context, name]() -> int {
    if (!name->empty()) {
      const auto entry = findMethod(*name);
      if (!entry) return context.fail(entry.error());
      context.print(methodDocument(**entry), methodPage(**entry));
      return 0;
    }
    TextTable table;
    table.header = {"method", "title", "scale at r = 8, α = 16", "paper"};
    table.rightAligned = {2};
    for (const MethodEntry& entry : methodEntries())
      table.rows.push_back({entry.name, entry.title, entry.lowRank() ? formatNumber(entry.effectiveScale(8, 16)) : "–", entry.paper});
    context.print(methodsDocument(), table);
    return 0;
  });
}

}  // namespace rankscope

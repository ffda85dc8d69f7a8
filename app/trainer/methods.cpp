// rankscope-train methods: what can be trained with, from the registry.

#include "app/trainer/commands.h"
#include "core/methods/registry.h"

namespace rankscope {
namespace {

nlohmann::json methodDocument(const MethodEntry& entry) {
  return {{"name", entry.name}, {"title", entry.title}, {"paper", entry.paper}, {"low_rank", entry.lowRank}};
}

}  // namespace

nlohmann::json methodsDocument() {
  nlohmann::json list = nlohmann::json::array();
  for (const MethodEntry& entry : methodEntries()) list.push_back(methodDocument(entry));
  return list;
}

void addMethodsCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("methods", "List the fine-tuning methods and where they come from");
  context.run(sub, [&context] {
    TextTable table;
    table.header = {"method", "title", "scale at r = 8, α = 16", "paper"};
    table.rightAligned = {2};
    for (const MethodEntry& entry : methodEntries())
      table.rows.push_back({entry.name, entry.title,
                            entry.lowRank ? formatNumber(entry.effectiveScale(8, 16)) : "–", entry.paper});
    context.print(methodsDocument(), table);
    return 0;
  });
}

}  // namespace rankscope

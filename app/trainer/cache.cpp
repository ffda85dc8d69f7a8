// rankscope-train cache: how much is kept only to save time, and clearing it.

#include <fmt/format.h>

#include "app/trainer/commands.h"
#include "core/config/cache_care.h"

namespace rankscope {
namespace {

int list(const CommandContext& context) {
  TextTable table;
  table.header = {"part", "holds", "entries", "size"};
  table.rightAligned = {2, 3};
  nlohmann::json document{{"folder", context.places.cache.string()}, {"parts", nlohmann::json::array()}};
  for (const CacheShare& share : cacheShares(context.places.cache)) {
    table.rows.push_back({share.name, share.holds, formatCount(share.entries), formatBytes(static_cast<double>(share.bytes))});
    document["parts"].push_back({{"name", share.name}, {"holds", share.holds}, {"entries", share.entries}, {"bytes", share.bytes}});
  }
  context.print(document, table);
  return 0;
}

int clear(const CommandContext& context, std::vector<std::string> names) {
  if (names.empty())
    for (const CacheShare& share : cacheShares(context.places.cache)) names.push_back(share.name);
  int64_t freed = 0;
  for (const std::string& name : names) {
    const Result<int64_t> cleared = clearCache(context.places.cache, name);
    if (!cleared) return context.fail(cleared.error());
    freed += *cleared;
  }
  context.print({{"freed", freed}}, fmt::format("freed {}; what is needed again is made again\n", formatBytes(static_cast<double>(freed))));
  return 0;
}

}  // namespace

void addCacheCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("cache", "What is kept only to save time: its size, and clearing it");
  sub->require_subcommand(1);
  context.run(sub->add_subcommand("list", "Parts of the cache and their sizes"), [&context] { return list(context); });
  CLI::App* clearing = sub->add_subcommand("clear", "Remove what is in some parts (default: all)");
  auto names = std::make_shared<std::vector<std::string>>();
  clearing->add_option("part", *names, "svd, starts, tokens");
  context.run(clearing, [&context, names] { return clear(context, *names); });
}

}  // namespace rankscope

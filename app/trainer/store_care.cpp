// The sub-commands of `store` that change it: edit, delete, restore, empty-trash, ingest, check, rebuild, backup,
// merge.

#include <fmt/format.h>

#include "app/trainer/store_documents.h"
#include "core/config/files.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

// --- care ---------------------------------------------------------------------------------------------------------
int reportIngest(CommandContext& context, const IngestReport& report) {
  for (const Error& problem : report.problems) context.warn(problem.message());
  context.print(ingestDocument(report),
                fmt::format("{} runs looked at, {} added, {} changed, {} events read", report.runsSeen,
                            report.runsAdded, report.runsChanged, report.events));
  return report.problems.empty() ? 0 : exitCode(report.problems.front().code);
}

void addIngest(CLI::App* store, CommandContext& context) {
  auto folders = std::make_shared<std::vector<std::string>>();
  CLI::App* sub = store->add_subcommand(
      "ingest", "Take in what is new in the run folders (every other command does this by itself)");
  sub->add_option("FOLDER", *folders,
                  "Run folders elsewhere, for example copied from a cluster (default: those of this home)")
      ->type_name("DIR");
  context.run(sub, [&context, folders]() -> int {
    Result<std::unique_ptr<Store>> opened = Store::open(context.places.store, Store::Mode::ReadWrite);
    if (!opened) return context.fail(opened.error());
    if (folders->empty()) return reportIngest(context, ingestRuns(**opened, context.places.runs));
    IngestReport all;
    for (const std::string& folder : *folders) {
      Result<IngestReport> one = ingestRun(**opened, folder);
      if (!one) {
        all.problems.push_back(one.error());
        continue;
      }
      all.runsSeen += one->runsSeen, all.runsAdded += one->runsAdded, all.runsChanged += one->runsChanged,
          all.events += one->events;
      all.changedIds.insert(all.changedIds.end(), one->changedIds.begin(), one->changedIds.end());
    }
    return reportIngest(context, all);
  });
}

void addCheck(CLI::App* store, CommandContext& context) {
  auto quick = std::make_shared<bool>(false);
  CLI::App* sub = store->add_subcommand("check", "Whether the store's file is sound");
  sub->add_flag("--quick", *quick, "Leave out the indices");
  context.run(sub, [&context, quick]() -> int {
    Result<std::unique_ptr<Store>> opened = Store::open(context.places.store, Store::Mode::ReadOnly);
    if (!opened) return context.fail(opened.error());
    Result<StoreCheck> report = (*opened)->check(!*quick);
    if (!report) return context.fail(report.error());
    context.print({{"sound", report->sound},
                   {"problems", report->problems},
                   {"runs", report->runs},
                   {"jobs", report->jobs},
                   {"bytes", report->bytes},
                   {"version", report->version}},
                  report->sound ? fmt::format("sound: {} runs, {} jobs, {}", report->runs, report->jobs,
                                              formatBytes(static_cast<double>(report->bytes)))
                                : fmt::format("damaged:\n  {}\nRun `rankscope-train store rebuild`.",
                                              fmt::join(report->problems, "\n  ")));
    return report->sound ? 0 : exitCode(ErrorCode::Store);
  });
}

void addRebuild(CLI::App* store, CommandContext& context) {
  CLI::App* sub =
      store->add_subcommand("rebuild", "Make the history again from the run folders; notes, tags and settings stay");
  context.run(sub, [&context]() -> int {
    Result<RebuildReport> report = rebuildStore(context.places.store);
    if (!report) return context.fail(report.error());
    for (const Error& problem : report->ingest.problems) context.warn(problem.message());
    for (const std::string& table : report->lost)
      context.warn("not everything of table " + table + " could be read from the damaged file");
    nlohmann::json document = ingestDocument(report->ingest);
    document["was_damaged"] = report->wasDamaged;
    document["moved_aside"] = pathText(report->movedAside);
    document["user_rows_saved"] = report->userRowsSaved;
    document["kept_without_folder"] = report->keptWithoutFolder;
    document["lost"] = report->lost;
    std::string text =
        fmt::format("{} runs made again, {} events read", report->ingest.runsChanged, report->ingest.events);
    if (report->wasDamaged)
      text += fmt::format("\nThe file was damaged and is now {}; {} notes, tags, settings and jobs were saved from it",
                          pathText(report->movedAside), report->userRowsSaved);
    if (report->keptWithoutFolder > 0)
      text += fmt::format("\n{} runs whose folders are gone were kept as they were", report->keptWithoutFolder);
    context.print(document, text);
    return 0;
  });
}

void addBackupAndMerge(CLI::App* store, CommandContext& context) {
  auto to = std::make_shared<std::string>();
  CLI::App* backup = store->add_subcommand("backup", "A copy of the store's file, also while it is in use");
  backup->add_option("FILE", *to, "Where to; must not exist")->required();
  context.run(backup, [&context, to]() -> int {
    Result<std::unique_ptr<Store>> opened = Store::open(context.places.store, Store::Mode::ReadOnly);
    if (!opened) return context.fail(opened.error());
    if (Result<void> made = (*opened)->backup(*to); !made) return context.fail(made.error());
    std::error_code failure;
    const auto bytes = fs::file_size(*to, failure);
    context.print({{"file", *to}, {"bytes", bytes}},
                  fmt::format("{} ({})", *to, formatBytes(static_cast<double>(bytes))));
    return 0;
  });
  auto from = std::make_shared<std::string>();
  CLI::App* merge =
      store->add_subcommand("merge", "Take in the runs of another store; what is here already stays as it is");
  merge->add_option("STORE", *from, "The other store.sqlite, or the home it lies in")->required();
  context.run(merge, [&context, from]() -> int {
    Result<std::unique_ptr<Store>> opened = openCurrentStore(context);
    if (!opened) return context.fail(opened.error());
    std::error_code failure;
    const fs::path other = fs::is_directory(*from, failure) ? fs::path(*from) / "store.sqlite" : fs::path(*from);
    Result<MergeReport> report = (*opened)->merge(other);
    if (!report) return context.fail(report.error());
    for (const Error& problem : report->problems) context.warn(problem.message());
    context.print({{"added", report->added},
                   {"present", report->present},
                   {"folders_copied", report->foldersCopied},
                   {"user_data_taken", report->userDataTaken},
                   {"problems", report->problems.size()}},
                  fmt::format("{} runs added ({} with their folders), {} were here already", report->added,
                              report->foldersCopied, report->present));
    return report->problems.empty() ? 0 : exitCode(report->problems.front().code);
  });
}

// --- edit, delete -------------------------------------------------------------------------------------------------
struct EditArguments {
  std::vector<std::string> runs, tags, untags;
  std::string name, note, colour;
  bool star = false, unstar = false, archive = false, unarchive = false;
};

Result<void> edit(Store& store, const EditArguments& wanted, const CLI::App& sub, const std::vector<std::string>& ids) {
  const auto given = [&sub](const char* option) { return sub.count(option) > 0; };
  std::vector<Result<void>> done;
  for (const std::string& id : ids) {
    if (given("--name")) done.push_back(store.setName(id, wanted.name));
    if (given("--note")) done.push_back(store.setNote(id, wanted.note));
  }
  if (!wanted.tags.empty()) done.push_back(store.addTags(ids, wanted.tags));
  if (!wanted.untags.empty()) done.push_back(store.removeTags(ids, wanted.untags));
  if (given("--colour")) done.push_back(store.setColour(ids, wanted.colour));
  if (wanted.star || wanted.unstar) done.push_back(store.setStarred(ids, wanted.star));
  if (wanted.archive || wanted.unarchive) done.push_back(store.setArchived(ids, wanted.archive));
  for (const Result<void>& each : done)
    if (!each) return each;
  return {};
}

void addEdit(CLI::App* store, CommandContext& context) {
  auto arguments = std::make_shared<EditArguments>();
  CLI::App* sub = store->add_subcommand("edit", "Name, note, tags, colour, star and archive of runs");
  sub->add_option("RUN", arguments->runs, "Runs: uuid, beginning of it, or name")->required();
  sub->add_option("--name", arguments->name, "Name to show (\"\": the config's own again)")->type_name("TEXT");
  sub->add_option("--note", arguments->note, "Note, in Markdown")->type_name("TEXT");
  sub->add_option("--tag", arguments->tags, "Tags to add")->delimiter(',')->type_name("TAG")->allow_extra_args(false);
  sub->add_option("--untag", arguments->untags, "Tags to take off")
      ->delimiter(',')
      ->type_name("TAG")
      ->allow_extra_args(false);
  sub->add_option("--colour", arguments->colour, "#rrggbb, or \"\" for the colour by method")->type_name("COLOUR");
  auto* star = sub->add_flag("--star", arguments->star, "Star");
  sub->add_flag("--unstar", arguments->unstar, "Take the star off")->excludes(star);
  auto* archive = sub->add_flag("--archive", arguments->archive, "Archive: hidden from lists, kept as it is");
  sub->add_flag("--unarchive", arguments->unarchive, "Back into lists")->excludes(archive);
  context.run(sub, [&context, arguments, sub]() -> int {
    Result<std::unique_ptr<Store>> opened = openCurrentStore(context);
    if (!opened) return context.fail(opened.error());
    Result<std::vector<std::string>> ids = resolveRuns(**opened, arguments->runs);
    if (!ids) return context.fail(ids.error());
    if (Result<void> done = edit(**opened, *arguments, *sub, *ids); !done) return context.fail(done.error());
    context.print({{"runs", *ids}}, fmt::format("{} runs changed", ids->size()));
    return 0;
  });
}

void addTrash(CLI::App* store, CommandContext& context) {
  enum class What { Delete, Restore, Empty };
  const auto add = [&](const char* name, const char* help, What what) {
    auto runs = std::make_shared<std::vector<std::string>>();
    CLI::App* sub = store->add_subcommand(name, help);
    auto* option = sub->add_option("RUN", *runs, "Runs: uuid, beginning of it, or name");
    if (what != What::Empty) option->required();
    context.run(sub, [&context, runs, what]() -> int {
      Result<std::unique_ptr<Store>> opened = openCurrentStore(context);
      if (!opened) return context.fail(opened.error());
      Result<std::vector<std::string>> ids = resolveRuns(**opened, *runs);
      if (!ids) return context.fail(ids.error());
      if (what == What::Empty) {
        Result<int64_t> freed = (*opened)->emptyTrash(*ids);
        if (!freed) return context.fail(freed.error());
        context.print({{"bytes", *freed}}, formatBytes(static_cast<double>(*freed)) + " freed");
        return 0;
      }
      Result<void> done = what == What::Delete ? (*opened)->deleteRuns(*ids) : (*opened)->restoreRuns(*ids);
      if (!done) return context.fail(done.error());
      context.print({{"runs", *ids}},
                    what == What::Delete
                        ? fmt::format("{} runs moved to the trash; `store restore` brings them back", ids->size())
                        : fmt::format("{} runs restored", ids->size()));
      return 0;
    });
  };
  add("delete", "Move runs to the trash", What::Delete);
  add("restore", "Bring runs back from the trash", What::Restore);
  add("empty-trash", "Delete for good what is in the trash, or only these runs", What::Empty);
}

}  // namespace

void addStoreEditing(CLI::App* store, CommandContext& context) {
  addEdit(store, context);
  addTrash(store, context);
}

void addStoreCare(CLI::App* store, CommandContext& context) {
  addIngest(store, context);
  addCheck(store, context);
  addRebuild(store, context);
  addBackupAndMerge(store, context);
}

}  // namespace rankscope

// rankscope-train twins: one config trained with several methods (same seed, data order and budget) and their results side
// by side. Each run is a child process of its own, so that its memory and time are its own.

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "app/trainer/commands.h"
#include "app/trainer/config_arguments.h"
#include "core/config/method_parts.h"
#include "core/config/task_heads.h"
#include "core/methods/registry.h"
#include "core/runlog/event_search.h"
#include "core/runlog/run_folder.h"
#include "core/store/ingest.h"
#include "core/store/store.h"

extern char** environ;

namespace rankscope {
namespace {

struct TwinsArguments {
  ConfigArguments config;
  std::vector<std::string> methods = usualTwins();
};

struct TwinResult {
  std::string method, id;
  int exitCode = 0;
  nlohmann::json summary = nlohmann::json::object();
};

volatile std::sig_atomic_t childProcess = 0;
void passSignalOn(int signal) {
  if (childProcess > 0) kill(childProcess, signal);
}

// Runs this very program; SIGTERM and SIGINT go on to the child, which checkpoints and leaves.
int runSelf(const CommandContext& context, const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  std::vector<std::string> words = {context.program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // The child's result line is not ours: standard output belongs to the table.
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, context.program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return 1;
  childProcess = pid;
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  childProcess = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

double valueOf(const nlohmann::json& summary, const char* series) {
  const auto values = summary.find("values");
  if (values == summary.end() || !values->contains(series) || !(*values)[series].is_number()) return std::nan("");
  return (*values)[series].get<double>();
}

std::string cell(double value, int digits = 4) { return std::isnan(value) ? "–" : formatNumber(value, digits); }

// The task's metrics beside the loss: whatever the runs have.
std::vector<std::string> metricColumns(const std::vector<TwinResult>& twins) {
  std::vector<std::string> columns;
  for (const char* name : {"eval/accuracy", "eval/f1", "eval/matthews", "eval/pearson", "eval/spearman", "eval/perplexity"})
    for (const TwinResult& twin : twins)
      if (!std::isnan(valueOf(twin.summary, name))) {
        columns.emplace_back(name);
        break;
      }
  return columns;
}

TextTable comparison(const std::vector<TwinResult>& twins) {
  const std::vector<std::string> metrics = metricColumns(twins);
  TextTable table;
  table.header = {"method", "train loss", "eval loss"};
  for (const std::string& metric : metrics) table.header.push_back(metric.substr(5));
  // One config, one task: they all count the same.
  const std::string speed = (twins.empty() ? kUsualUnit : twins.front().summary.value("unit", kUsualUnit)) + "/s";
  for (const char* column :
       {"trainable", "share", "‖A‖", "‖B‖", "balance gap", "‖ΔW‖/‖W0‖", "time", speed.c_str(), "peak memory"})
    table.header.emplace_back(column);
  for (size_t i = 1; i < table.header.size(); ++i) table.rightAligned.push_back(i);
  for (const TwinResult& twin : twins) {
    const nlohmann::json& s = twin.summary;
    const Result<const MethodEntry*> entry = findMethod(twin.method);
    std::vector<std::string> row = {entry ? (*entry)->title : twin.method, cell(valueOf(s, "train/loss")),
                                    cell(valueOf(s, "eval/loss"))};
    for (const std::string& metric : metrics) row.push_back(cell(valueOf(s, metric.c_str())));
    const auto trainable = s.value("trainable", int64_t{0}), parameters = s.value("parameters", int64_t{0});
    const double seconds = s.value("seconds", 0.0);
    row.push_back(formatCount(trainable));
    row.push_back(parameters > 0 ? fmt::format("{:.2f} %", 100.0 * static_cast<double>(trainable) / static_cast<double>(parameters)) : "–");
    row.push_back(cell(valueOf(s, "factors/norm_A"), 3));
    row.push_back(cell(valueOf(s, "factors/norm_B"), 3));
    row.push_back(cell(valueOf(s, "factors/balance_gap"), 3));
    row.push_back(cell(valueOf(s, "factors/relative_update"), 3));
    row.push_back(formatSeconds(seconds));
    row.push_back(seconds > 0 ? formatCount(static_cast<int64_t>(s.value("tokens", 0.0) / seconds)) : "–");
    row.push_back(formatBytes(s.value("peak_memory", 0.0)));
    if (twin.exitCode != 0) row[0] += fmt::format(" (exit {})", twin.exitCode);
    table.rows.push_back(std::move(row));
  }
  return table;
}

int runTwins(CommandContext& context, const TwinsArguments& arguments) {
  std::vector<Error> mistakes;
  Result<RunConfig> base = arguments.config.readUnchecked(context.places, mistakes);
  if (!base) return context.fail(mistakes.empty() ? std::vector<Error>{base.error()} : mistakes);
  // Everything is checked before the first run starts: the third method's mistake is not told after an hour.
  std::vector<RunConfig> configs;
  for (const std::string& method : arguments.methods) {
    RunConfig config = *base;
    for (const ValidationIssue& issue : config.assign({"method.name=" + method})) mistakes.push_back(issue.error);
    config.dropInapplicable();  // --set method.warmup_steps=… is meant for those that have a warm-up
    const std::string name = base->str("name");
    if (!name.empty())
      if (auto named = config.set("name", name + " " + method); !named) mistakes.push_back(named.error());
    for (const Error& mistake : configMistakes(config, context.places)) mistakes.push_back(mistake);
    configs.push_back(std::move(config));
  }
  if (!mistakes.empty()) return context.fail(mistakes);
  if (auto made = context.places.ensure(); !made) return context.fail(made.error());

  struct sigaction action = {};
  action.sa_handler = passSignalOn;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  std::vector<TwinResult> twins;
  int worst = 0;
  for (size_t i = 0; i < configs.size(); ++i) {
    Result<RunFolder> run = RunFolder::create(context.places, configs[i]);
    if (!run) return context.fail(run.error());
    context.note(fmt::format("[{}/{}] {}", i + 1, configs.size(), arguments.methods[i]));
    std::vector<std::string> words = {"resume", run->id()};
    if (!context.home.empty()) words.insert(words.begin(), {"--home", context.home});
    if (context.verbosity < 0) words.emplace_back("-q");
    TwinResult twin{arguments.methods[i], run->id(), runSelf(context, words)};
    if (const std::optional<event::End> end = lastEnd(run->eventsFile())) twin.summary = end->summary;
    worst = worst == 0 ? twin.exitCode : worst;
    const bool interrupted = twin.exitCode == exitCode(ErrorCode::Interrupted) || twin.exitCode >= 128;
    twins.push_back(std::move(twin));
    if (interrupted) break;
  }

  // The history sees them at once; a store that cannot be written now takes them in later.
  if (auto store = Store::open(context.places.store, Store::Mode::ReadWrite); store)
    ingestRuns(**store, context.places.runs);
  else
    context.warn(store.error().message());

  nlohmann::json documents = nlohmann::json::array();
  for (const TwinResult& twin : twins)
    documents.push_back({{"method", twin.method}, {"run", twin.id}, {"exit_code", twin.exitCode}, {"summary", twin.summary}});
  context.print(documents, comparison(twins));
  return worst;
}

}  // namespace

void addTwinsCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("twins", "Train one config with several methods and compare them");
  auto arguments = std::make_shared<TwinsArguments>();
  arguments->config.declare(sub);
  sub->add_option("--methods", arguments->methods, "Methods, with commas between them")->delimiter(',')->capture_default_str();
  context.run(sub, [&context, arguments] { return runTwins(context, *arguments); });
}

}  // namespace rankscope

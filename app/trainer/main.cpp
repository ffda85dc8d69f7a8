// rankscope-train: everything the workbench can do, on a machine with no display.

#include <fmt/format.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "app/trainer/commands.h"
#include "rankscope_version.h"

namespace {

using namespace rankscope;

// Global options are accepted anywhere on the command line, also after a nested sub-command's own.
void letGlobalOptionsFallThrough(CLI::App& app) {
  for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
    sub->fallthrough();
    letGlobalOptionsFallThrough(*sub);
  }
}

int runProgram(int argc, char** argv) {
  CLI::App root{"rankscope-train: fine-tune with LoRA, RoRA, RefLoRA or all weights, and look at what it did.",
                "rankscope-train"};
  CommandContext context;
  int verbose = 0;
  bool quiet = false;
  root.add_option("--home", context.home, "Folder for the store, runs and models (default: $RANKSCOPE_HOME, else "
                                  "$XDG_DATA_HOME/rankscope)")
      ->type_name("DIR");
  root.add_flag("--json", context.json, "Results as JSON on standard output, nothing else there");
  root.add_flag("-v,--verbose", verbose, "Say more on standard error; twice for debugging");
  root.add_flag("-q,--quiet", quiet, "Only warnings and errors on standard error");
  root.set_version_flag("--version", std::string("rankscope-train " RANKSCOPE_VERSION
                                                 " (LibTorch " RANKSCOPE_LIBTORCH_VERSION ")"));
  root.require_subcommand(1);
  root.set_help_all_flag("--help-all", "Help for every sub-command");
  root.footer("RUN is a run's uuid, a unique beginning of it, or its name.\n"
              "Exit codes: 0 done, 1 other failure, 2 wrong use or config, 3 bad input file, 4 training failed, "
              "5 interrupted after a checkpoint, 6 store busy or damaged.");

  for (const CommandEntry& entry : commandEntries()) {
    const size_t before = root.get_subcommands([](CLI::App*) { return true; }).size();
    entry.add(root, context);
    const auto all = root.get_subcommands([](CLI::App*) { return true; });
    for (size_t i = before; i < all.size(); ++i) all[i]->group(entry.group);
  }
  letGlobalOptionsFallThrough(root);

  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    // --help and --version arrive here too, with exit code 0.
    if (problem.get_exit_code() == 0) return root.exit(problem);
    return context.fail({ErrorCode::Usage, problem.what(), "command line", "", "",
                         "See `rankscope-train --help` or `rankscope-train COMMAND --help`."});
  }
  context.verbosity = quiet ? -1 : verbose;
  std::error_code failure;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failure);
  context.program = failure ? argv[0] : self.string();
  Result<Places> places =
      Places::find(context.home.empty() ? std::nullopt : std::optional<std::filesystem::path>(context.home));
  if (!places) return context.fail(places.error());
  context.places = std::move(*places);

  const std::function<int()>* body = context.bodyFor(root);
  if (!body)
    return context.fail({ErrorCode::Usage, "the command is not complete", "command line", "", "a sub-command",
                         "Add --help to see what can follow."});
  return (*body)();
}

// LibTorch's OpenMP threads spin while they wait for each other. Where anything else wants a core, a spinning thread
// takes it from the one it waits for, and a step becomes ten times slower; not spinning at all costs a sixth of the speed
// on a quiet machine. A short spin costs neither. The OpenMP library reads this when it is loaded, before main, so the
// program starts itself once more with it; whoever sets either variable decides.
void spinOnlyShortly(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  ::setenv("GOMP_SPINCOUNT", "5000", 1);
  ::execv("/proc/self/exe", argv);  // returns only when it failed, and then all goes on as it was
}

}  // namespace

int main(int argc, char** argv) {
  spinOnlyShortly(argv);
  // A file that may not grow (ulimit -f) is a full disk: an error with a name, not a death by signal.
  std::signal(SIGXFSZ, SIG_IGN);
  // Numbers in files and on the command line never follow the user's locale.
  std::setlocale(LC_ALL, "C");
  try {
    return runProgram(argc, argv);
  } catch (const rankscope::ErrorException& problem) {
    fmt::print(stderr, "error: {}\n", problem.error().message());
    return rankscope::exitCode(problem.error().code);
  } catch (const std::exception& problem) {
    fmt::print(stderr,
               "error: {}. This is a defect of rankscope-train; please report it with the command that was given.\n",
               problem.what());
    return 1;
  }
}

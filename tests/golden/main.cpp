// golden_check PATH…: every case in the format of reference/golden below the paths, a line each, then the sum.
// Exit 0: nothing failed. 1: something did, or there was nothing to run. 2: wrong use.

#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "tests/golden/run.h"

int main(int argc, char** argv) {
  using namespace rankscope::golden;
  CLI::App app{"Checks what is built against reference cases"};
  std::vector<std::filesystem::path> paths;
  std::vector<std::string> only;
  app.add_option("path", paths, "Folders with manifest.json, or cases")->required()->check(CLI::ExistingPath);
  app.add_option("--only", only, "Run cases whose name or kind contains this text (may be repeated)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : 2;
  }

  // The cases are tiny: waiting for a second thread costs more than it does, most of all on a busy machine.
  at::set_num_threads(1);
  int passed = 0, failed = 0, notBuilt = 0;
  for (const CaseEntry& entry : findCases(paths)) {
    const bool wanted = only.empty() || std::any_of(only.begin(), only.end(), [&](const std::string& t) {
                          return entry.name.find(t) != std::string::npos || entry.kind.find(t) != std::string::npos;
                        });
    if (!wanted) continue;
    const Outcome outcome = runCase(entry);
    std::printf("%s\n", outcome.line.c_str());
    std::fflush(stdout);
    (outcome.kind == Outcome::Kind::Passed ? passed : outcome.kind == Outcome::Kind::Failed ? failed : notBuilt)++;
  }
  if (notBuilt > 0) std::printf("%d not built here\n", notBuilt);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

// Fills a home folder with synthetic runs, for looking at the interface: make_synthetic_home DIR
#include "tests/support/synthetic_store.h"

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: make_synthetic_home DIR\n"), 2;
  const auto places = rankscope::Places::find(std::filesystem::path(argv[1]));
  if (!places.ok() || !places->ensure().ok()) return 1;
  std::printf("%zu runs\n", rankscope::test::writeManyRuns(*places).size());
  return 0;
}

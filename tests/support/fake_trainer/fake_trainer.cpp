#include "tests/support/fake_trainer/fake_trainer.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/runlog/event_log.h"
#include "core/runlog/run_folder.h"
#include "core/runlog/spectrum_file.h"
#include "core/store/store.h"

namespace {

using namespace rankscope;

int64_t fromEnvironment(const char* name, int64_t fallback) {
  const char* value = std::getenv(name);
  return value ? std::atoll(value) : fallback;
}

int fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message().c_str());
  return exitCode(error.code);
}

}  // namespace

// Knobs: FAKE_STEPS, FAKE_MS (per step), FAKE_FAIL_AT, FAKE_SITES.
int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  std::string home, config, id, command, run, slot = "cpu", group;
  for (size_t i = 0; i < words.size(); ++i) {
    const auto next = [&] { return i + 1 < words.size() ? words[++i] : std::string(); };
    if (words[i] == "--home") home = next();
    else if (words[i] == "--config") config = next();
    else if (words[i] == "--id") id = next();
    else if (words[i] == "--slot") slot = next();
    else if (words[i] == "--group") group = next();
    else if (command.empty() && words[i][0] != '-') command = words[i];
    else if (words[i][0] != '-') run = words[i];
  }
  if (command == "serve") return test::fakeServe();
  const auto places = Places::find(std::filesystem::path(home));
  if (!places.ok()) return fail(places.error());
  test::FakeRunOptions options;
  options.steps = fromEnvironment("FAKE_STEPS", 200);
  options.milliseconds = static_cast<int>(fromEnvironment("FAKE_MS", 10));
  options.failAt = fromEnvironment("FAKE_FAIL_AT", -1);
  options.sites = fromEnvironment("FAKE_SITES", 12);
  if (command == "train") {
    auto loaded = RunConfig::load(config);
    if (!loaded.ok()) return fail(loaded.error());
    RunOrigin origin;
    origin.id = id;
    auto folder = RunFolder::create(*places, *loaded, origin);
    if (!folder.ok()) return fail(folder.error());
    options.folder = folder->path();
    return test::fakeRun(options);
  }
  if (command == "resume" || command == "spectrum") {
    auto folder = resolveRun(places->runs, run);
    if (!folder.ok()) return fail(folder.error());
    if (command == "spectrum") return test::fakeSpectrum(folder->path(), options.milliseconds, [](size_t, size_t, const std::string&) { return true; });
    options.folder = folder->path();
    options.failAt = -1;
    options.life = 2;
    if (auto events = readAllEvents(folder->eventsFile()); events.ok()) {
      for (const auto& event : *events) {
        if (const auto* checkpoint = std::get_if<event::Checkpoint>(&event.body)) options.fromStep = checkpoint->step;
      }
    }
    return test::fakeRun(options);
  }
  if (command == "store") {  // rebuild
    std::error_code ignored;
    std::filesystem::rename(places->store, places->store.string() + ".damaged", ignored);
    return Store::open(places->store, Store::Mode::ReadWrite).ok() ? 0 : 1;
  }
  if (command == "queue") return test::fakeQueue(*places, slot, group, options.milliseconds);
  std::fprintf(stderr, "unknown command %s\n", command.c_str());
  return 2;
}

#pragma once
// A home in a temporary folder, run folders with logs written by the real EventWriter, and a text of everything the
// store derived, so that two ways of ingesting can be compared to the byte.

#include <QtTest/QtTest>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/config/run_config.h"
#include "core/runlog/event_log.h"
#include "core/store/ingest.h"
#include "core/store/store.h"

namespace rankscope {

// QVERIFY for Results: says what the error was.
#define RS_OK(result)                                                  \
  do {                                                                 \
    const auto& rsOkResult = (result);                                 \
    if (!rsOkResult.ok()) QFAIL(rsOkResult.error().message().c_str()); \
  } while (false)

struct TestHome {
  TestHome();
  std::filesystem::path path() const { return folder.path().toStdString(); }
  std::filesystem::path store() const { return path() / "store.sqlite"; }
  std::filesystem::path runs() const { return path() / "runs"; }
  std::unique_ptr<Store> open(Store::Mode mode = Store::Mode::ReadWrite) const;  // aborts the test when it cannot
  QTemporaryDir folder;
};

struct RunSpec {
  std::string name = "run", method = "lora", model = "starter:stories260K", data = "mrpc/train.tsv",
              task = "classification";
  int64_t rank = 8, seed = 0;
  double learningRate = 1e-3;
  std::string id;  // empty: a new one
};
nlohmann::json configOf(const RunSpec& spec);
// The folder with config.json; no events yet.
std::filesystem::path makeRunFolder(const std::filesystem::path& runs, const RunSpec& spec);

// A log of `steps` steps with everything a run can say; the numbers follow from the step and `salt`.
struct LogSpec {
  int64_t steps = 200;
  int64_t evalEvery = 50;
  int sites = 3;
  int salt = 0;
  bool end = true;
  bool resume = false;     // after the first life a second that rewinds to 60% and goes on
  bool notFinite = false;  // some values are NaN
};
void writeLog(const std::filesystem::path& runFolder, const LogSpec& spec);
double lossAt(int64_t step, int salt);

// Every derived row, without the numbers that depend on the order of insertion.
std::string derivedRows(Store& store);

std::string fileBytes(const std::filesystem::path& file);
void putFile(const std::filesystem::path& file, std::string_view bytes);

}  // namespace rankscope

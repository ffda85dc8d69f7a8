#pragma once
// The parts of fake_trainer, a stand-in for rankscope-train in tests of the interface: no model, no torch, the same
// protocol on the same files. Numbers are made by formula, so that a test knows what it must see.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "core/config/places.h"

namespace rankscope::test {

// `serve`: JSON lines until stdin ends. Answers models.scan, model.inspect, library.describe, adapter.fits, model.tokenizer,
// data.inspect, data.preview, estimate, validate, methods, check, ping; "crash" dies at once.
int fakeServe();

struct FakeRunOptions {
  std::filesystem::path folder;  // made by the caller, with its config
  int64_t steps = 200;
  int64_t sites = 12;
  int milliseconds = 10;  // per step
  int64_t failAt = -1;    // a NaN loss at this step
  int64_t fromStep = 0;   // resumed
  int64_t life = 1;
  bool instant = false;   // no waiting: a finished run at once
};
int fakeRun(const FakeRunOptions& options);

// spectra/step-….json of a finished fake run; `report` is called before each site and ends the work by false.
int fakeSpectrum(const std::filesystem::path& folder, int milliseconds,
                 const std::function<bool(size_t done, size_t total, const std::string& site)>& report);

// `queue run`: takes the spectrum, merge, export and import jobs of a slot and group, one after the other, as the real
// runner does. FAKE_SPECTRUM_FAILS=1 and FAKE_OUTPUT_FAILS=1 let them fail.
int fakeQueue(const Places& places, const std::string& slot, const std::string& group, int milliseconds);

}  // namespace rankscope::test

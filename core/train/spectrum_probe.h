#pragma once
// The spectra of all changed matrices while a run trains: intruder dimensions and effective ranks every so many steps,
// from W0's decompositions, which are found once (core/spectrum/base_svd.h) and held in float32. What is measured goes
// into the event log and, for the workbench's Spectrum view, into the run's spectra/. Training thread; the object must not
// outlive the method and the model.

#include <filesystem>
#include <functional>
#include <vector>

#include "core/config/run_config.h"
#include "core/spectrum/method_spectrum.h"

namespace rankscope {

// What a live spectrum costs: W0's decompositions once, in seconds, if they are in no cache; their memory while the run goes
// on; and the memory of a look beside it, on so many threads.
struct SpectrumProbeCost {
  double seconds = 0;
  int64_t bytes = 0, work = 0;
  // `whole`: the update is no product of factors (full fine-tuning, DoRA), so that matrices of its size are made.
  void add(int64_t outFeatures, int64_t inFeatures, bool whole, int threads);
};
// As train.spectrum says; by itself where both are small.
bool probesSpectrum(const RunConfig& config, const SpectrumProbeCost& cost);

class SpectrumProbe {
 public:
  static SpectrumProbeCost costOf(const Method& method);  // with as many threads as operators have

  // Decomposes, or takes from the cache. progress(what, share); false: ErrorCode::Interrupted.
  static Result<SpectrumProbe> make(const Method& method, const std::filesystem::path& cache,
                                    const std::function<bool(const std::string&, double)>& progress);

  // The leading vectors among which intruders are counted and the threshold below which one is: the paper's.
  static constexpr int64_t kLeading = 10;
  static constexpr double kEps = 0.5;

  // All sites, several at a time. Of a full update its norm and its intruders, not its singular values.
  RunSpectrum measure() const;

 private:
  SpectrumProbe(const Method& method) : m_method(&method) {}

  const Method* m_method;
  std::vector<BaseSvd> m_bases;  // in the order of changedSites()
};

// Writes it into the run's folder and, when there are more than `most` live ones, removes every second of these: a long
// run keeps its whole course at a coarser interval.
Result<void> keepLiveSpectrum(const std::filesystem::path& runFolder, const RunSpectrum& spectrum, size_t most = 200);

}  // namespace rankscope

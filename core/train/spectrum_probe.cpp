#include "core/train/spectrum_probe.h"

#include <ATen/Parallel.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <exception>
#include <mutex>
#include <thread>

namespace rankscope {
namespace {

// What is given without being asked for.
constexpr double kFreeSeconds = 60;
constexpr int64_t kFreeBytes = int64_t{192} << 20;
// LAPACK's full decomposition in float64 on two cores, measured at 384² to 2048².
constexpr double kSecondsPerProduct = 5e-10;

constexpr int64_t kColumns = 64;  // of the similarity map

// work(0) … work(count − 1), each on one thread, as many at a time as there are threads: the products and small
// decompositions of one matrix are too short to be split. Threads of their own and not a parallel region of OpenMP: in such
// a one LAPACK (MKL's QR) waits for ever for threads that a nested region does not get.
void eachAlone(size_t count, const std::function<void(size_t)>& work) {
  const int threads = at::get_num_threads();
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  std::mutex failing;
  const auto serve = [&] {
    const at::NoGradGuard noGrad;
    at::set_num_threads(1);  // of this thread's operators
    try {
      for (size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failing);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads && static_cast<size_t>(i) < count; ++i) others.emplace_back(serve);
  serve();
  for (std::thread& other : others) other.join();
  at::set_num_threads(threads);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void SpectrumProbeCost::add(int64_t outFeatures, int64_t inFeatures, bool whole, int threads) {
  const int64_t n = std::min(outFeatures, inFeatures), values = outFeatures * inFeatures;
  seconds += kSecondsPerProduct * static_cast<double>(values) * static_cast<double>(n);
  bytes += int64_t{sizeof(float)} * n * (outFeatures + inFeatures + 1);
  // In float64: W0, W, their difference, W transposed, and the two sides of W0's decomposition.
  if (whole) work = std::max(work, threads * int64_t{sizeof(double)} * (4 * values + n * (outFeatures + inFeatures)));
}

bool probesSpectrum(const RunConfig& config, const SpectrumProbeCost& cost) {
  const std::string& wish = config.str("train.spectrum");
  if (wish != "auto") return wish == "on" && cost.bytes > 0;
  return cost.bytes > 0 && cost.bytes + cost.work <= kFreeBytes && cost.seconds <= kFreeSeconds;
}

SpectrumProbeCost SpectrumProbe::costOf(const Method& method) {
  SpectrumProbeCost cost;
  for (const ChangedSite& changed : changedSitesOf(method))
    cost.add(changed.site->outFeatures, changed.site->inFeatures, !changed.pair.A.defined() || changed.pair.magnitude.defined(),
             at::get_num_threads());
  return cost;
}

Result<SpectrumProbe> SpectrumProbe::make(const Method& method, const std::filesystem::path& cache,
                                          const std::function<bool(const std::string&, double)>& progress) {
  const at::NoGradGuard noGrad;
  SpectrumProbe probe(method);
  const std::vector<ChangedSite> sites = changedSitesOf(method);
  if (sites.empty()) return changesNoMatrix(method.settings().name);
  for (const ChangedSite& changed : sites) {
    if (!progress("decomposing the base weights", static_cast<double>(probe.m_bases.size()) / static_cast<double>(sites.size())))
      return Error{ErrorCode::Interrupted, "the base weights' decomposition was left", changed.site->name, "", "",
                   "Resume the run: what was done so far is kept."};
    const BaseSvd base = cachedBaseSvd(matrixBefore(changed), cache);
    probe.m_bases.push_back({base.U.to(at::kFloat), base.S.to(at::kFloat), base.V.to(at::kFloat)});
  }
  return probe;
}

RunSpectrum SpectrumProbe::measure() const {
  const at::NoGradGuard noGrad;
  const auto started = std::chrono::steady_clock::now();
  const SpectrumSettings settings{.k = kLeading, .heatmapColumns = kColumns, .allValuesUpTo = 0, .updateValues = false};
  const std::vector<ChangedSite> sites = changedSitesOf(*m_method);
  RunSpectrum result;
  result.k = kLeading;
  result.live = true;
  result.sites.resize(sites.size());
  eachAlone(sites.size(), [&](size_t index) {
    const ChangedSite& changed = sites[index];
    const bool additive = changed.pair.A.defined() && !changed.pair.magnitude.defined();
    const MatrixChange change = matrixChange(changed, additive ? at::Tensor() : matrixBefore(changed));
    result.sites[index] = namedSpectrum(*changed.site, siteSpectrum(m_bases[index], change, settings));
  });
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  result.created = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  return result;
}

Result<void> keepLiveSpectrum(const std::filesystem::path& runFolder, const RunSpectrum& spectrum, size_t most) {
  if (auto written = writeSpectrum(runFolder, spectrum); !written) return written;
  const std::vector<std::filesystem::path> files = listSpectra(runFolder);
  if (files.size() <= most) return {};
  std::vector<std::filesystem::path> live;
  for (const std::filesystem::path& file : files)
    if (const auto kept = readSpectrum(file); kept && kept->live) live.push_back(file);
  if (live.size() <= most) return {};
  std::error_code ignored;
  for (size_t i = 1; i + 1 < live.size(); i += 2) {  // the first and the newest stay
    std::filesystem::remove(live[i], ignored);
    std::filesystem::remove(live[i].replace_extension(".bin"), ignored);
  }
  return {};
}

}  // namespace rankscope

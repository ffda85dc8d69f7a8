// Any bytes as a run's spectrum (its JSON, a zero byte, its arrays) and as a mitigation: refused with a hint, or arrays that
// lie within the file and maps whose sides fit; what is understood is written and understood again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/runlog/mitigation_file.h"
#include "core/runlog/spectrum_file.h"
#include "tests/fuzz/fuzz_file.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t zero = bytes.find('\0');
  const std::string_view text = bytes.substr(0, zero);
  fuzzFile("step-00000001.bin", zero == std::string_view::npos ? std::string_view() : bytes.substr(zero + 1));
  const Result<RunSpectrum> spectrum = readSpectrum(fuzzFile("step-00000001.json", text));
  if (!spectrum && spectrum.error().hint.empty()) std::abort();
  if (spectrum) {
    for (const SiteSpectrum& site : spectrum->sites) {
      if (4 * (site.cos.size() + site.maxCos.size() + site.sigmaBefore.size()) > 3 * size) std::abort();
      if (static_cast<int64_t>(site.cos.size()) != site.cosRows * site.cosColumns && site.cosColumns > 0) std::abort();
      if (site.intruders(0.5, 10) < 0) std::abort();
    }
    if (!writeSpectrum(fuzzFolder(), *spectrum)) std::abort();
    const Result<RunSpectrum> again = readSpectrum(spectrumFile(fuzzFolder(), spectrum->step));
    if (!again || again->sites.size() != spectrum->sites.size()) std::abort();
    std::filesystem::remove_all(fuzzFolder() / "spectra");
  }
  const Result<MitigationCurve> curve = readMitigation(fuzzFile("mitigation.json", text));
  if (!curve && curve.error().hint.empty()) std::abort();
  if (curve) {
    if (!writeMitigation(fuzzFolder(), *curve)) std::abort();
    const Result<MitigationCurve> again = readMitigation(mitigationFile(fuzzFolder(), curve->step));
    if (!again || again->points.size() != curve->points.size()) std::abort();
    std::filesystem::remove_all(fuzzFolder() / "mitigation");
  }
  return 0;
}

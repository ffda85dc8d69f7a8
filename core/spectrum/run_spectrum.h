#pragma once
// The spectrum of a whole run: base weights from the model folder, the update from the run's adapter (PEFT layout) or
// from its fully trained model, one record a changed matrix. Reads files only; trains nothing, needs no running trainer.

#include <filesystem>
#include <functional>
#include <string>

#include "core/runlog/spectrum_file.h"
#include "core/spectrum/site_spectrum.h"

namespace rankscope {

struct RunSpectrumRequest {
  std::filesystem::path baseModel;  // folder with config.json and safetensors
  std::filesystem::path update;     // adapter folder (adapter_config.json) or model folder
  std::filesystem::path cache;      // for the base matrices' SVDs
  int64_t step = 0;                 // recorded with the result
  SpectrumSettings settings;
};

// progress(done, total, site) is called before each matrix; returning false cancels (ErrorCode::Interrupted).
Result<RunSpectrum> computeRunSpectrum(const RunSpectrumRequest& request,
                                       const std::function<bool(int64_t, int64_t, const std::string&)>& progress);

}  // namespace rankscope

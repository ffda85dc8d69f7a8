#pragma once
// What scaling a run's intruders down does to its task and to what the base model knew, for several λ, as the `mitigate`
// command leaves it in the run's folder: mitigation/step-00000120.json. Plain types, so that the workbench can read it.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

struct MitigationPoint {
  double lambda = 1;
  std::map<std::string, double> metrics;  // "accuracy", "loss", …: of the run's own evaluation data
  std::optional<double> textLoss;         // of a token of the text, under the language head
  double lost = 0;                        // largest share of an update that its rank could not hold
};

struct MitigationCurve {
  int64_t step = 0, top = 0, intruders = 0;
  double eps = 0;
  std::string text;                    // the file; empty: none was measured
  std::optional<double> baseTextLoss;  // of the base model
  std::string created;                 // ISO 8601, UTC
  std::vector<MitigationPoint> points;  // by rising λ
};

std::filesystem::path mitigationFile(const std::filesystem::path& runFolder, int64_t step);
Result<void> writeMitigation(const std::filesystem::path& runFolder, const MitigationCurve& curve);
Result<MitigationCurve> readMitigation(const std::filesystem::path& file);

}  // namespace rankscope

#pragma once
// Fills a model's parameter table from a checkpoint folder, or by drawing. All that does not fit (missing, misshapen) is
// collected into one error; tensors nobody asked for are reported. Weights of one `stack` are laid out in one block of
// memory so that their products can be one.

#include <filesystem>
#include <string>
#include <vector>

#include "core/models/model.h"

namespace rankscope {

enum class StartValue { Normal, Zeros, Ones };

struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;
  StartValue start = StartValue::Normal;
  bool isHead = false;   // drawn and reported when the checkpoint lacks it, instead of an error
  bool norm = false;     // norm weights and biases stay in float32: tiny, and read by float32 arithmetic
  std::string stack{};   // consecutive entries with the same stack lie end to end
  int64_t zeroRow = -1;  // row of an embedding that a fresh model keeps at zero (padding)
  double spread = 1;        // of a normal start, times the plan's range
  bool transposed = false;  // a matrix whose memory holds its transpose (LinearSite::transposed)
  bool buffer = false;      // goes to Model::buffers()
};

struct WeightPlan {
  std::vector<ParameterSpec> parameters;
  std::vector<std::pair<std::string, std::string>> aliases;  // second name -> entry (tied weights)
  std::string basePrefix;                    // "bert.", "model.": absent in checkpoints of the bare encoder
  std::vector<std::string> ignoredSuffixes;  // buffers that old checkpoints carry
  std::vector<std::pair<std::string, std::string>> oldSuffixes;  // spelling of today -> former spelling
  double initializerRange = 0.02;
};

// `buffers` may be null where the plan has none.
Result<void> fillParameters(const std::filesystem::path& folder, const WeightPlan& plan,
                            const ModelLoadOptions& options, ParameterTable& table, LoadReport& report,
                            ParameterTable* buffers = nullptr);

}  // namespace rankscope

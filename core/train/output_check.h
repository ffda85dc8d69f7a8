#pragma once
// Does a saved model answer as the trained one does? Both are asked for the same rows, and the largest difference is
// told. For merge and export; one thread.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "core/train/trained_model.h"

namespace rankscope {

struct OutputCheck {
  int64_t rows = 0, tokens = 0;
  std::string unit;  // what `tokens` counts (core/config/task_heads.h)
  bool fromData = false;  // rows of the run's data; else made up from the vocabulary
  double largest = 0;     // |difference| of logits
  double scale = 0;       // largest |logit| of the trained model
  double tolerance = 0;   // allowed share of `scale`
  bool equal() const { return largest <= tolerance * scale + 1e-6; }
};

// Share of the largest logit: the same numbers through the same operators, sums may be ordered otherwise.
inline constexpr double kExactTolerance = 1e-4;

// At most eight rows of the run's evaluation data where it was loaded, else four made-up sequences.
class OutputSample {
 public:
  explicit OutputSample(const TrainingSetup& setup);
  // Logits of all rows, float32; evaluation mode.
  at::Tensor logits(Model& model) const;
  // `before` against what the model in `model` now answers. An error when the two differ by more than `tolerance`.
  Result<OutputCheck> compare(const at::Tensor& before, Model& model, double tolerance,
                              const std::filesystem::path& saved) const;

 private:
  PackedBatch m_batch;
  std::string m_unit;
  bool m_fromData = false;
};

// How the run's model was loaded, for loading what was saved.
ModelLoadOptions loadOptionsOf(const TrainedModel& trained);

}  // namespace rankscope

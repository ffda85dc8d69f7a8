#include "core/train/output_check.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <numeric>

#include "core/config/files.h"
#include "core/config/task_heads.h"

namespace rankscope {
namespace {

constexpr size_t kRows = 8;
constexpr int64_t kMadeUpLengths[] = {17, 9, 4, 1};

PackedBatch madeUpImages(const Model& model, const ModelFamily& family) {
  PackedBatch batch;
  const auto pass = family.imagePass(model.config(), 1, 1);
  const int64_t side = pass ? pass->usualSide : 1, channels = pass ? pass->channels : 1, count = 2;
  batch.pixels = at::arange(count * channels * side * side, at::kFloat).mul(0.37).sin().view({count, channels, side, side});
  batch.starts = {0, 1, 2};
  return batch;
}

// Ids spread over the vocabulary, the same at every call.
PackedBatch madeUp(const Model& model) {
  const auto family = findModelFamily(model.config().value("model_type", std::string()));
  if (family && (*family)->imagePass) return madeUpImages(model, **family);
  PackedBatch batch;
  const int64_t longest = model.maxPositions() > 0 ? model.maxPositions() : 1 << 20;
  std::vector<int64_t> ids, positions;
  batch.starts = {0};
  uint64_t state = 0x9E3779B97F4A7C15ull;
  for (const int64_t wanted : kMadeUpLengths) {
    for (int64_t i = 0; i < std::min(wanted, longest); ++i) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      ids.push_back(static_cast<int64_t>((state >> 33) % static_cast<uint64_t>(model.vocabSize())));
      positions.push_back(i);
    }
    batch.starts.push_back(static_cast<int64_t>(ids.size()));
  }
  batch.inputIds = at::tensor(ids, at::kLong);
  batch.positionIds = at::tensor(positions, at::kLong);
  return batch;
}

}  // namespace

OutputSample::OutputSample(const TrainingSetup& setup) : m_unit(unitOfTask(dataTaskName(setup.task))) {
  const PreparedData& data = setup.data;
  const TokenizedSet& set = data.eval.empty() ? data.train : data.eval;
  if (set.empty()) {
    m_batch = madeUp(*setup.model);
    return;
  }
  std::vector<uint32_t> indices(std::min(kRows, set.size()));
  std::iota(indices.begin(), indices.end(), 0u);
  m_batch = setup.pack(set, indices, kEvaluationDraw);
  m_fromData = true;
}

at::Tensor OutputSample::logits(Model& model) const {
  const at::NoGradGuard noGrad;
  ForwardContext context;
  return model.logits(m_batch, context).to(at::kFloat);
}

Result<OutputCheck> OutputSample::compare(const at::Tensor& before, Model& model, double tolerance,
                                          const std::filesystem::path& saved) const {
  const at::Tensor after = logits(model);
  OutputCheck check;
  check.rows = m_batch.sequences();
  check.tokens = m_batch.tokens();
  check.unit = m_unit;
  check.fromData = m_fromData;
  check.tolerance = tolerance;
  const bool comparable = before.sizes() == after.sizes() && after.isfinite().all().item<bool>();
  if (comparable) {
    check.largest = (before - after).abs().max().item<double>();
    check.scale = before.abs().max().item<double>();
  }
  if (!comparable || !check.equal())
    return Error{ErrorCode::Internal,
                 "what was saved does not answer as the trained model does",
                 pathText(saved),
                 comparable ? fmt::format("logits differ by {:.3g}, the largest is {:.3g}", check.largest, check.scale)
                            : "other outputs, or not finite",
                 fmt::format("within {:.1g} of the largest", tolerance),
                 "Do not use the folder; please report this with the run's config.json."};
  return check;
}

ModelLoadOptions loadOptionsOf(const TrainedModel& trained) {
  ModelLoadOptions options;
  options.dtype = at::kFloat;
  options.head = trained.setup.head;
  options.numLabels = std::max<int64_t>(1, trained.setup.model->numLabels());
  options.seed = static_cast<uint64_t>(trained.setup.config.integer("seed"));
  return options;
}

}  // namespace rankscope

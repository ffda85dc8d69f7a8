// Cross-entropy over a large vocabulary on the CPU (see simd/bf16_loss.h): each thread takes a fixed share of the
// vocabulary, and the shares are joined in order.

#include <cmath>
#include <torch/library.h>

#include "kernels/cpu/packed_products.h"
#include "kernels/cpu/simd/bf16_loss.h"
#include "kernels/generic/generic.h"

namespace rankscope::kernels::cpu {

namespace {

using simd::Bf16;

enum Slot : size_t { kTiles, kParts, kGradients, kPanels, kRows, kLogSums, kLabels, kScratch };

struct Rows {
  std::vector<int64_t> index, label;
};

Rows labelledRows(const at::Tensor& labels, int64_t vocabulary) {
  Rows rows;
  const auto* label = labels.data_ptr<int64_t>();
  for (int64_t i = 0; i < labels.numel(); ++i) {
    if (label[i] < 0) continue;
    TORCH_CHECK_INDEX(label[i] < vocabulary, "label ", label[i], " is not below ", vocabulary);
    rows.index.push_back(i);
    rows.label.push_back(label[i]);
  }
  return rows;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> packedLoss(const at::Tensor& hidden, const at::Tensor& weight,
                                                          const at::Tensor& labels, double factor, bool hiddenGrad,
                                                          bool weightGrad) {
  const auto width = hidden.size(1), vocabulary = weight.size(0);
  const auto floats = hidden.options().dtype(at::kFloat);
  const auto rows = labelledRows(labels, vocabulary);
  const auto count = static_cast<int64_t>(rows.index.size());
  auto gradHidden = hiddenGrad ? at::empty_like(hidden) : at::empty({0}, hidden.options());
  auto gradWeight = weightGrad ? at::empty(weight.sizes(), floats) : at::empty({0}, floats);
  auto loss = at::zeros({}, floats);
  if (hiddenGrad && count < hidden.size(0)) gradHidden.zero_();
  if (count == 0) {
    if (weightGrad) gradWeight.zero_();
    return {loss, gradHidden, gradWeight};
  }

  auto& workspace = Workspace::ofThisThread();
  const auto* all = static_cast<const Bf16*>(hidden.data_ptr());
  const auto* words = static_cast<const Bf16*>(weight.data_ptr());
  const Bf16* source = all;
  if (count < hidden.size(0)) {
    auto* chosen = workspace.slot<Bf16>(kRows, count * width);
    for (int64_t i = 0; i < count; ++i)
      std::copy_n(all + rows.index[static_cast<size_t>(i)] * width, width, chosen + i * width);
    source = chosen;
  }
  auto* tiles = workspace.slot<Bf16>(kTiles, simd::packedLeftSize(count, width));
  overShares(simd::tilesOf(count), [&](int64_t begin, int64_t end) {
    simd::packLeft(source, width, count, width, begin, end, tiles);
  });

  const simd::LossJob job{tiles, count, width, words, vocabulary};
  const auto blocks = (vocabulary + simd::kVocabularyBlock - 1) / simd::kVocabularyBlock;
  const auto shares = std::min<int64_t>(at::get_num_threads(), blocks);
  // With a head that trains, the gradients need the finished log-sums: they come in a second pass.
  const bool inOnePass = hiddenGrad && !weightGrad;
  auto* parts = workspace.slot<float>(kParts, shares * 2 * count);
  auto* gradients = workspace.slot<float>(kGradients, hiddenGrad ? shares * count * width : 0);
  const auto scratchBytes = simd::lossScratch(count, width);
  const auto partOf = [&](int64_t s) {
    return simd::LossPart{parts + s * 2 * count, parts + (s * 2 + 1) * count,
                          inOnePass ? gradients + s * count * width : nullptr};
  };
  at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
    for (auto s = first; s < last; ++s) {
      const auto part = partOf(s);
      std::fill_n(part.maxima, count, -INFINITY);
      std::fill_n(part.sums, count, 0.0f);
      if (hiddenGrad) std::fill_n(gradients + s * count * width, count * width, 0.0f);
      simd::lossRange(job, blocks * s / shares, blocks * (s + 1) / shares, part,
                      Workspace::ofThisThread().slot<char>(kScratch, scratchBytes));
    }
  });

  auto* logSums = workspace.slot<float>(kLogSums, count);
  auto* lossOfRow = workspace.slot<float>(kLabels, count);
  const auto scale = static_cast<float>(factor);
  overShares(count, [&](int64_t begin, int64_t end) {
    std::vector<float> joined(static_cast<size_t>(inOnePass ? width : 0));
    for (auto i = begin; i < end; ++i) {
      float top = -INFINITY, sum = 0;
      for (int64_t s = 0; s < shares; ++s) top = std::max(top, partOf(s).maxima[i]);
      for (int64_t s = 0; s < shares; ++s) sum += partOf(s).sums[i] * std::exp(partOf(s).maxima[i] - top);
      const auto label = rows.label[static_cast<size_t>(i)];
      logSums[i] = top + std::log(sum);
      lossOfRow[i] = logSums[i] - simd::dotBf16(source + i * width, words + label * width, width);
      if (!inOnePass) continue;
      for (int64_t s = 0; s < shares; ++s) {
        const float part = std::exp(partOf(s).maxima[i] - top) / sum * scale;
        if (s == 0)
          simd::scaleTo(partOf(s).grad + i * width, part, width, joined.data());
        else
          simd::addScaled(partOf(s).grad + i * width, part, width, joined.data());
      }
      simd::addScaled(words + label * width, -scale, width, joined.data());
      simd::toBf16(joined.data(), width, 1,
                   static_cast<Bf16*>(gradHidden.data_ptr()) + rows.index[static_cast<size_t>(i)] * width);
    }
  });
  double total = 0;
  for (int64_t i = 0; i < count; ++i) total += lossOfRow[i];
  loss.fill_(total * factor);

  if (weightGrad) {
    auto* panels = workspace.slot<Bf16>(kPanels, simd::packedRightSize(width, count));
    overShares(simd::panelsOf(width), [&](int64_t begin, int64_t end) {
      simd::packRight(source, width, width, count, begin, end, panels);
    });
    const simd::LossGradJob gradJob{job, panels, rows.label.data(), logSums, scale};
    at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
      for (auto s = first; s < last; ++s)
        simd::lossGradRange(gradJob, blocks * s / shares, blocks * (s + 1) / shares, gradWeight.data_ptr<float>(),
                            hiddenGrad ? gradients + s * count * width : nullptr,
                            Workspace::ofThisThread().slot<char>(kScratch, scratchBytes));
    });
    if (hiddenGrad)
      overShares(count, [&](int64_t begin, int64_t end) {
        for (auto i = begin; i < end; ++i) {
          float* joined = gradients + i * width;
          for (int64_t s = 1; s < shares; ++s) simd::addScaled(joined + s * count * width, 1, width, joined);
          simd::toBf16(joined, width, 1,
                       static_cast<Bf16*>(gradHidden.data_ptr()) + rows.index[static_cast<size_t>(i)] * width);
        }
      });
  }
  return {loss, gradHidden, gradWeight};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight,
                                                                  const at::Tensor& labels, double factor,
                                                                  bool hiddenGrad, bool weightGrad) {
  TORCH_CHECK(hidden.dim() == 2 && weight.dim() == 2 && hidden.size(1) == weight.size(1) &&
                  labels.numel() == hidden.size(0) && labels.scalar_type() == at::kLong,
              "linear_cross_entropy: hidden ", hidden.sizes(), ", weight ", weight.sizes(), ", labels ",
              labels.sizes());
  const bool packed = simd::available() && hidden.scalar_type() == at::kBFloat16 &&
                      weight.scalar_type() == at::kBFloat16 && hidden.is_contiguous() && weight.is_contiguous() &&
                      labels.is_contiguous() && hidden.size(1) > 0;
  return packed ? packedLoss(hidden, weight, labels, factor, hiddenGrad, weightGrad)
                : generic::linearCrossEntropy(hidden, weight, labels, factor, hiddenGrad, weightGrad);
}

}  // namespace

void registerLoss(torch::Library& m) { m.impl("linear_cross_entropy", linearCrossEntropy); }

}  // namespace rankscope::kernels::cpu

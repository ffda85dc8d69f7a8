#include "kernels/cpu/simd/bf16_loss.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/simd/vector512.h"

namespace rankscope::kernels::simd {

namespace {

constexpr int64_t kRowBlock = 64;

int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

struct Scratch {
  Bf16 *forwardPanels, *backwardPanels, *weights, *left;
  float* logits;
  int64_t bytes;
};

Scratch carve(void* base, int64_t rows, int64_t width) {
  char* at = static_cast<char*>(base);
  int64_t used = 0;
  const auto take = [&](int64_t bytes) {
    char* here = at + used;
    used += rounded(bytes);
    return here;
  };
  Scratch s{};
  s.forwardPanels = reinterpret_cast<Bf16*>(take(packedRightSize(kVocabularyBlock, width) * 2));
  s.backwardPanels = reinterpret_cast<Bf16*>(take(packedRightSize(width, kVocabularyBlock) * 2));
  s.logits = reinterpret_cast<float*>(take(kRowBlock * kVocabularyBlock * 4));
  s.weights = reinterpret_cast<Bf16*>(take((rows + kRowBlock) * kVocabularyBlock * 2));
  s.left = reinterpret_cast<Bf16*>(
      take(std::max(packedLeftSize(kRowBlock, kVocabularyBlock), packedLeftSize(kVocabularyBlock, rows)) * 2));
  s.bytes = used;
  return s;
}

// The tiles of one block of rows, as multiply() wants to see them.
const Bf16* tilesFrom(const LossJob& job, int64_t row) {
  return job.hiddenTiles + row / kTileRows * kTileRows * pairsOf(job.width) * 2;
}

}  // namespace

int64_t lossScratch(int64_t rows, int64_t width) { return carve(nullptr, rows, width).bytes; }

void lossRange(const LossJob& job, int64_t begin, int64_t end, const LossPart& part, void* scratch) {
  const auto s = carve(scratch, job.rows, job.width);
  for (int64_t block = begin; block < end; ++block) {
    const auto first = block * kVocabularyBlock, words = std::min(kVocabularyBlock, job.vocabulary - first);
    const Bf16* weight = job.weight + first * job.width;
    packRightTransposed(weight, job.width, words, job.width, 0, panelsOf(words), s.forwardPanels);
    if (part.grad) packRight(weight, job.width, job.width, words, 0, panelsOf(job.width), s.backwardPanels);
    for (int64_t row = 0; row < job.rows; row += kRowBlock) {
      const auto rows = std::min(kRowBlock, job.rows - row);
      Segment forward{tilesFrom(job, row), s.forwardPanels, job.width};
      multiply(&forward, 1, rows, words, 0, tilesOf(rows), 0, panelsOf(words),
               {s.logits, kVocabularyBlock, Target::Float});
      for (int64_t i = 0; i < rows; ++i) {
        const float* logits = s.logits + i * kVocabularyBlock;
        Bf16* weights = s.weights + i * kVocabularyBlock;
        auto top = _mm512_set1_ps(-INFINITY);
        for (int64_t j = 0; j < words; j += 16)
          top = _mm512_mask_max_ps(top, firstOf(words - j), top,
                                   _mm512_maskz_loadu_ps(firstOf(words - j), logits + j));
        const float before = part.maxima[row + i], highest = std::max(before, _mm512_reduce_max_ps(top));
        if (highest > before) {
          const float factor = std::exp(before - highest);  // 0 the first time
          part.maxima[row + i] = highest;
          part.sums[row + i] *= factor;
          if (part.grad && before > -INFINITY) scaleTo(part.grad + (row + i) * job.width, factor, job.width,
                                                       part.grad + (row + i) * job.width);
        }
        const auto offset = _mm512_set1_ps(highest);
        auto total = _mm512_setzero_ps();
        for (int64_t j = 0; j < words; j += 16) {
          const auto mask = firstOf(words - j);
          const auto e = _mm512_maskz_mov_ps(
              mask, exponential(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, logits + j), offset)));
          total = _mm512_add_ps(total, e);
          storeBf16(weights + j, e);
        }
        part.sums[row + i] += _mm512_reduce_add_ps(total);
      }
      if (!part.grad) continue;
      packLeft(s.weights, kVocabularyBlock, rows, words, 0, tilesOf(rows), s.left);
      Segment backward{s.left, s.backwardPanels, words};
      multiply(&backward, 1, rows, job.width, 0, tilesOf(rows), 0, panelsOf(job.width),
               {part.grad + row * job.width, job.width, Target::FloatAdd});
    }
  }
}

void lossGradRange(const LossGradJob& job, int64_t begin, int64_t end, float* gradWeight, float* gradHidden,
                   void* scratch) {
  const auto& base = job.base;
  const auto s = carve(scratch, base.rows, base.width);
  const auto factor = _mm512_set1_ps(job.factor);
  for (int64_t block = begin; block < end; ++block) {
    const auto first = block * kVocabularyBlock, words = std::min(kVocabularyBlock, base.vocabulary - first);
    const Bf16* weight = base.weight + first * base.width;
    packRightTransposed(weight, base.width, words, base.width, 0, panelsOf(words), s.forwardPanels);
    if (gradHidden) packRight(weight, base.width, base.width, words, 0, panelsOf(base.width), s.backwardPanels);
    for (int64_t row = 0; row < base.rows; row += kRowBlock) {
      const auto rows = std::min(kRowBlock, base.rows - row);
      Segment forward{tilesFrom(base, row), s.forwardPanels, base.width};
      multiply(&forward, 1, rows, words, 0, tilesOf(rows), 0, panelsOf(words),
               {s.logits, kVocabularyBlock, Target::Float});
      Bf16* weights = s.weights + row * kVocabularyBlock;
      for (int64_t i = 0; i < rows; ++i) {
        const float* logits = s.logits + i * kVocabularyBlock;
        const auto offset = _mm512_set1_ps(job.logSums[row + i]);
        const auto label = job.labels[row + i] - first;
        for (int64_t j = 0; j < words; j += 16) {
          const auto mask = firstOf(words - j);
          auto p = exponential(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, logits + j), offset));
          if (label >= j && label < j + 16)
            p = _mm512_mask_sub_ps(p, static_cast<__mmask16>(1 << (label - j)), p, _mm512_set1_ps(1.0f));
          storeBf16(weights + i * kVocabularyBlock + j, _mm512_maskz_mov_ps(mask, _mm512_mul_ps(p, factor)));
        }
      }
      if (!gradHidden) continue;
      packLeft(weights, kVocabularyBlock, rows, words, 0, tilesOf(rows), s.left);
      Segment backward{s.left, s.backwardPanels, words};
      multiply(&backward, 1, rows, base.width, 0, tilesOf(rows), 0, panelsOf(base.width),
               {gradHidden + row * base.width, base.width, Target::FloatAdd});
    }
    packLeftTransposed(s.weights, kVocabularyBlock, words, base.rows, 0, tilesOf(words), s.left);
    Segment outer{s.left, job.hiddenPanels, base.rows};
    multiply(&outer, 1, words, base.width, 0, tilesOf(words), 0, panelsOf(base.width),
             {gradWeight + first * base.width, base.width, Target::Float});
  }
}

float dotBf16(const Bf16* a, const Bf16* b, int64_t count) {
  auto sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += 16) {
    const auto mask = firstOf(count - i);
    sum = _mm512_fmadd_ps(loadBf16(a + i, mask), loadBf16(b + i, mask), sum);
  }
  return _mm512_reduce_add_ps(sum);
}

void addScaled(const Bf16* row, float factor, int64_t count, float* out) {
  const auto f = _mm512_set1_ps(factor);
  for (int64_t i = 0; i < count; i += 16) {
    const auto mask = firstOf(count - i);
    _mm512_mask_storeu_ps(out + i, mask, _mm512_fmadd_ps(loadBf16(row + i, mask), f, _mm512_maskz_loadu_ps(mask, out + i)));
  }
}

void addScaled(const float* row, float factor, int64_t count, float* out) {
  const auto f = _mm512_set1_ps(factor);
  for (int64_t i = 0; i < count; i += 16) {
    const auto mask = firstOf(count - i);
    _mm512_mask_storeu_ps(
        out + i, mask, _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, row + i), f, _mm512_maskz_loadu_ps(mask, out + i)));
  }
}

void scaleTo(const float* row, float factor, int64_t count, float* out) {
  const auto f = _mm512_set1_ps(factor);
  for (int64_t i = 0; i < count; i += 16) {
    const auto mask = firstOf(count - i);
    _mm512_mask_storeu_ps(out + i, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, row + i), f));
  }
}

}  // namespace rankscope::kernels::simd

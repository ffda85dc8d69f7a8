#pragma once
// Cross-entropy of hidden · Wᵀ over a large vocabulary without ever holding the logits: a thread takes a range of the
// vocabulary in blocks, and for each block computes the logits, folds them into running maxima and sums (as flash
// attention does), and adds exp(logit − maximum) · W to the gradient of the hidden states. Ranges are joined at the end
// in a fixed order. The weight is read once. Plain pointers; only where available() (bf16_gemm.h) says so.

#include <cstdint>

#include "kernels/cpu/simd/bf16_gemm.h"

namespace rankscope::kernels::simd {

constexpr int64_t kVocabularyBlock = 5 * kPanelColumns;

struct LossJob {
  const Bf16* hiddenTiles = nullptr;  // packLeft of hidden [rows, width]
  int64_t rows = 0, width = 0;
  const Bf16* weight = nullptr;  // [vocabulary, width]
  int64_t vocabulary = 0;
};

// What a thread has gathered over its range: per row the running maximum and Σ exp(logit − maximum), and with `grad` not
// null Σ exp(logit − maximum) · W, [rows, width] float32. The caller sets maxima to −∞, the rest to 0.
struct LossPart {
  float* maxima = nullptr;
  float* sums = nullptr;
  float* grad = nullptr;
};

// Bytes of scratch per thread, for both functions below.
int64_t lossScratch(int64_t rows, int64_t width);
// Blocks begin … end of kVocabularyBlock words.
void lossRange(const LossJob& job, int64_t begin, int64_t end, const LossPart& part, void* scratch);

// Second pass for a head that trains, with the log-sums known: p = softmax − one-hot, times `factor`.
// hiddenPanels: packRight of hidden [k = rows, n = width]. gradWeight [vocabulary, width] float32 is written for the
// range; gradHidden [rows, width] float32 (the thread's own) is added to when not null.
struct LossGradJob {
  LossJob base;
  const Bf16* hiddenPanels = nullptr;
  const int64_t* labels = nullptr;
  const float* logSums = nullptr;
  float factor = 1;
};
void lossGradRange(const LossGradJob& job, int64_t begin, int64_t end, float* gradWeight, float* gradHidden,
                   void* scratch);

// Σ a · b of two bfloat16 rows, in float32.
float dotBf16(const Bf16* a, const Bf16* b, int64_t count);
// out += factor · row, and out = factor · row.
void addScaled(const Bf16* row, float factor, int64_t count, float* out);
void scaleTo(const float* row, float factor, int64_t count, float* out);
void addScaled(const float* row, float factor, int64_t count, float* out);

}  // namespace rankscope::kernels::simd

#include "kernels/cpu/simd/bf16_attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/simd/dropout_mask.h"
#include "kernels/cpu/simd/vector512.h"

namespace rankscope::kernels::simd {

namespace {

constexpr int64_t kBlock = 64;  // query rows at a time

int64_t padded(int64_t n) { return (n + kPanelColumns - 1) / kPanelColumns * kPanelColumns; }

// Carves aligned arrays out of one block; with a null base it only counts.
class Carver {
 public:
  explicit Carver(void* base) : m_at(static_cast<char*>(base)) {}
  template <typename T>
  T* take(int64_t count) {
    auto* here = reinterpret_cast<T*>(m_at + m_used);
    m_used += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return here;
  }
  int64_t used() const { return m_used; }

 private:
  char* m_at;
  int64_t m_used = 0;
};

// rows × dim from strided memory, turned by the rotary angles when there are any.
void gather(const Bf16* source, int64_t stride, int64_t rows, int64_t dim, const float* cos, const float* sin,
            Bf16* out) {
  const auto half = dim / 2;
  for (int64_t t = 0; t < rows; ++t, source += stride, out += dim) {
    if (!cos) {
      std::memcpy(out, source, static_cast<size_t>(dim) * sizeof(Bf16));
      continue;
    }
    for (int64_t i = 0; i < half; i += 16) {
      const auto mask = firstOf(half - i);
      const auto a = loadBf16(source + i, mask), b = loadBf16(source + half + i, mask);
      const auto c = _mm512_maskz_loadu_ps(mask, cos + t * half + i), s = _mm512_maskz_loadu_ps(mask, sin + t * half + i);
      storeBf16(out + i, _mm512_fmsub_ps(a, c, _mm512_mul_ps(b, s)), mask);
      storeBf16(out + half + i, _mm512_fmadd_ps(b, c, _mm512_mul_ps(a, s)), mask);
    }
  }
}

// Float rows back to strided bfloat16, turned the other way: the gradient of gather().
void scatter(const float* source, int64_t rows, int64_t dim, const float* cos, const float* sin, Bf16* out,
             int64_t stride) {
  const auto half = dim / 2;
  for (int64_t t = 0; t < rows; ++t, source += dim, out += stride) {
    if (!cos) {
      for (int64_t i = 0; i < dim; i += 16) {
        const auto mask = firstOf(dim - i);
        storeBf16(out + i, _mm512_maskz_loadu_ps(mask, source + i), mask);
      }
      continue;
    }
    for (int64_t i = 0; i < half; i += 16) {
      const auto mask = firstOf(half - i);
      const auto a = _mm512_maskz_loadu_ps(mask, source + i), b = _mm512_maskz_loadu_ps(mask, source + half + i);
      const auto c = _mm512_maskz_loadu_ps(mask, cos + t * half + i), s = _mm512_maskz_loadu_ps(mask, sin + t * half + i);
      storeBf16(out + i, _mm512_fmadd_ps(a, c, _mm512_mul_ps(b, s)), mask);
      storeBf16(out + half + i, _mm512_fmsub_ps(b, c, _mm512_mul_ps(a, s)), mask);
    }
  }
}

struct Plan {
  int64_t columns;  // of a row of scores
  Bf16 *q, *k, *keyPanels, *valuePanels, *left;
  float *scores, *block, *mask;
  Bf16* weights;
  // Backward only.
  Bf16 *keyRows, *blockPanels, *gradWeights;
  float *gradScores, *gradKey, *gradValue;
  int64_t bytes;
};

Plan carve(void* base, int64_t length, int64_t dim, bool backward) {
  Carver c(base);
  Plan p{};
  p.columns = padded(length);
  p.q = c.take<Bf16>(kBlock * dim);
  p.k = c.take<Bf16>(length * dim);
  p.keyPanels = c.take<Bf16>(packedRightSize(length, dim));
  p.valuePanels = c.take<Bf16>(std::max(packedRightSize(dim, length), packedRightSize(length, dim)));
  p.left = c.take<Bf16>(std::max(packedLeftSize(kBlock, std::max(length, dim)), packedLeftSize(length, kBlock)));
  p.scores = c.take<float>(kBlock * p.columns);
  p.block = c.take<float>(kBlock * dim);
  p.mask = c.take<float>(p.columns + 4);
  p.weights = c.take<Bf16>(kBlock * p.columns);
  if (backward) {
    p.keyRows = c.take<Bf16>(packedRightSize(dim, length));
    p.blockPanels = c.take<Bf16>(packedRightSize(dim, kBlock));
    p.gradWeights = c.take<Bf16>(kBlock * p.columns);
    p.gradScores = c.take<float>(kBlock * p.columns);
    p.gradKey = c.take<float>(length * dim);
    p.gradValue = c.take<float>(length * dim);
  }
  p.bytes = c.used();
  return p;
}

void product(const Bf16* left, int64_t leftK, const Bf16* right, int64_t rightK, int64_t k, int64_t m, int64_t n,
             int64_t firstPanel, int64_t panels, const Target& target) {
  Segment segment{left, right, k, leftK, rightK};
  multiply(&segment, 1, m, n, 0, tilesOf(m), firstPanel, panels, target);
}

// left [m, k - from] times the rows from … k of a right operand [rightK, n]; `from` is even. A panel's pairs are as wide
// as the panel, so each has its own place to begin.
void productFrom(const Bf16* left, const Bf16* right, int64_t rightK, int64_t from, int64_t k, int64_t m, int64_t n,
                 const Target& target) {
  if (from == 0) return product(left, k, right, rightK, k, m, n, 0, panelsOf(n), target);
  for (int64_t panel = 0; panel < panelsOf(n); ++panel) {
    const auto width = std::min(kPanelColumns, (n - panel * kPanelColumns + 15) / 16 * 16);
    product(left, k - from, right + from * width, rightK, k - from, m, n, panel, panel + 1, target);
  }
}

void drawMask(const AttentionJob& job, int64_t head, int64_t query, int64_t keys, float* out) {
  dropoutFactors(job.seed, job.place, attentionDropIndex(head, job.firstToken + query, 0), (keys + 3) / 4,
                 job.dropThreshold, job.keep, out);
}

// The last key (exclusive) that rows up to `end` of the block see, and that one row sees.
int64_t keysOfBlock(const AttentionJob& job, int64_t end) { return job.causal ? end : job.length; }
int64_t keysOfRow(const AttentionJob& job, int64_t row) { return job.causal ? row + 1 : job.length; }
// The first key that a row sees, and the first column of the panel in which a block's first one lies: everything
// before it is left out of the block's products.
int64_t firstOfRow(const AttentionJob& job, int64_t row) {
  return job.window > 0 ? std::max<int64_t>(0, row + 1 - job.window) : 0;
}
int64_t firstOfBlock(const AttentionJob& job, int64_t begin) {
  return firstOfRow(job, begin) / kPanelColumns * kPanelColumns;
}
__mmask16 seen(int64_t first, int64_t count, int64_t j) {
  return static_cast<__mmask16>(firstOf(count - j) & ~firstOf(first - j));
}

const Bf16* queryColumns(const AttentionJob& job, int64_t head) { return job.qkv + head * job.headDim; }
int64_t keyOffset(const AttentionJob& job) { return (job.heads + job.kvHead) * job.headDim; }
int64_t valueOffset(const AttentionJob& job) { return (job.heads + job.kvHeads + job.kvHead) * job.headDim; }

}  // namespace

int64_t attentionScratch(int64_t length, int64_t headDim, bool backward) {
  return carve(nullptr, length, headDim, backward).bytes;
}

void attentionForward(const AttentionJob& job, Bf16* out, int64_t outStride, void* scratch) {
  const auto length = job.length, dim = job.headDim, half = dim / 2;
  const auto p = carve(scratch, length, dim, false);
  gather(job.qkv + keyOffset(job), job.width, length, dim, job.cos, job.sin, p.k);
  packRightTransposed(p.k, dim, length, dim, 0, panelsOf(length), p.keyPanels);
  packRight(job.qkv + valueOffset(job), job.width, dim, length, 0, panelsOf(dim), p.valuePanels);
  const auto groups = job.heads / job.kvHeads;
  for (int64_t head = job.kvHead * groups; head < (job.kvHead + 1) * groups; ++head) {
    for (int64_t begin = 0; begin < length; begin += kBlock) {
      const auto rows = std::min(kBlock, length - begin), keys = keysOfBlock(job, begin + rows);
      const auto from = firstOfBlock(job, begin);
      gather(queryColumns(job, head) + begin * job.width, job.width, rows, dim,
             job.cos ? job.cos + begin * half : nullptr, job.sin ? job.sin + begin * half : nullptr, p.q);
      packLeft(p.q, dim, rows, dim, 0, tilesOf(rows), p.left);
      product(p.left, dim, p.keyPanels, dim, dim, rows, length, from / kPanelColumns, panelsOf(keys),
              {p.scores, p.columns, Target::Float, nullptr, job.scale});
      float sums[kBlock];
      for (int64_t i = 0; i < rows; ++i) {
        const auto count = keysOfRow(job, begin + i), first = firstOfRow(job, begin + i);
        const float* s = p.scores + i * p.columns;
        auto top = _mm512_set1_ps(-INFINITY);
        for (int64_t j = from; j < count; j += 16) {
          const auto mask = seen(first, count, j);
          top = _mm512_mask_max_ps(top, mask, top, _mm512_maskz_loadu_ps(mask, s + j));
        }
        const float highest = _mm512_reduce_max_ps(top);
        const auto offset = _mm512_set1_ps(highest);
        auto total = _mm512_setzero_ps();
        Bf16* w = p.weights + i * p.columns;
        const bool drops = job.dropThreshold > 0;
        if (drops) drawMask(job, head, begin + i, count, p.mask);
        for (int64_t j = from; j < keys; j += 16) {
          const auto mask = seen(first, count, j);
          auto e = _mm512_maskz_mov_ps(mask, exponential(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, s + j), offset)));
          total = _mm512_add_ps(total, e);
          if (drops) e = _mm512_mul_ps(e, _mm512_maskz_loadu_ps(mask, p.mask + j));
          storeBf16(w + j, e);
        }
        sums[i] = _mm512_reduce_add_ps(total);
        job.logSums[head * job.tokens + job.firstToken + begin + i] = highest + std::log(sums[i]);
      }
      packLeft(p.weights + from, p.columns, rows, keys - from, 0, tilesOf(rows), p.left);
      productFrom(p.left, p.valuePanels, length, from, keys, rows, dim, {p.block, dim, Target::Float});
      for (int64_t i = 0; i < rows; ++i) {
        const auto inverse = _mm512_set1_ps(1.0f / sums[i]);
        Bf16* o = out + (begin + i) * outStride + head * dim;
        for (int64_t j = 0; j < dim; j += 16) {
          const auto mask = firstOf(dim - j);
          storeBf16(o + j, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, p.block + i * dim + j), inverse), mask);
        }
      }
    }
  }
}

void attentionBackward(const AttentionJob& job, const Bf16* out, const Bf16* gradOut, int64_t outStride, Bf16* gradQkv,
                       void* scratch) {
  const auto length = job.length, dim = job.headDim, half = dim / 2;
  const auto p = carve(scratch, length, dim, true);
  gather(job.qkv + keyOffset(job), job.width, length, dim, job.cos, job.sin, p.k);
  packRightTransposed(p.k, dim, length, dim, 0, panelsOf(length), p.keyPanels);
  packRight(p.k, dim, dim, length, 0, panelsOf(dim), p.keyRows);
  packRightTransposed(job.qkv + valueOffset(job), job.width, length, dim, 0, panelsOf(length), p.valuePanels);
  std::memset(p.gradKey, 0, static_cast<size_t>(length * dim) * sizeof(float));
  std::memset(p.gradValue, 0, static_cast<size_t>(length * dim) * sizeof(float));
  const auto groups = job.heads / job.kvHeads;
  for (int64_t head = job.kvHead * groups; head < (job.kvHead + 1) * groups; ++head) {
    for (int64_t begin = 0; begin < length; begin += kBlock) {
      const auto rows = std::min(kBlock, length - begin), keys = keysOfBlock(job, begin + rows);
      const auto from = firstOfBlock(job, begin), seenKeys = keys - from;
      const float* cos = job.cos ? job.cos + begin * half : nullptr;
      const float* sin = job.sin ? job.sin + begin * half : nullptr;
      const Bf16* gradRows = gradOut + begin * outStride + head * dim;
      const Bf16* outRows = out + begin * outStride + head * dim;
      gather(queryColumns(job, head) + begin * job.width, job.width, rows, dim, cos, sin, p.q);
      packLeft(p.q, dim, rows, dim, 0, tilesOf(rows), p.left);
      product(p.left, dim, p.keyPanels, dim, dim, rows, length, from / kPanelColumns, panelsOf(keys),
              {p.scores, p.columns, Target::Float, nullptr, job.scale});
      packLeft(gradRows, outStride, rows, dim, 0, tilesOf(rows), p.left);
      product(p.left, dim, p.valuePanels, dim, dim, rows, length, from / kPanelColumns, panelsOf(keys),
              {p.gradScores, p.columns, Target::Float});
      for (int64_t i = 0; i < rows; ++i) {
        auto dot = _mm512_setzero_ps();
        for (int64_t j = 0; j < dim; j += 16) {
          const auto mask = firstOf(dim - j);
          dot = _mm512_fmadd_ps(loadBf16(gradRows + i * outStride + j, mask), loadBf16(outRows + i * outStride + j, mask),
                                dot);
        }
        const auto delta = _mm512_set1_ps(_mm512_reduce_add_ps(dot));
        const auto count = keysOfRow(job, begin + i), first = firstOfRow(job, begin + i);
        const auto logSum = _mm512_set1_ps(job.logSums[head * job.tokens + job.firstToken + begin + i]);
        const auto scale = _mm512_set1_ps(job.scale);
        const float *s = p.scores + i * p.columns, *g = p.gradScores + i * p.columns;
        const bool drops = job.dropThreshold > 0;
        if (drops) drawMask(job, head, begin + i, count, p.mask);
        for (int64_t j = from; j < keys; j += 16) {
          const auto mask = seen(first, count, j);
          const auto w = _mm512_maskz_mov_ps(mask, exponential(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, s + j), logSum)));
          auto grad = _mm512_maskz_loadu_ps(mask, g + j);
          auto used = w;
          if (drops) {
            const auto factor = _mm512_maskz_loadu_ps(mask, p.mask + j);
            used = _mm512_mul_ps(w, factor);
            grad = _mm512_mul_ps(grad, factor);
          }
          storeBf16(p.weights + i * p.columns + j, used);
          storeBf16(p.gradWeights + i * p.columns + j, _mm512_mul_ps(_mm512_mul_ps(w, _mm512_sub_ps(grad, delta)), scale));
        }
      }
      // values += weightsᵀ · gradOut;  keys += gradWeightsᵀ · queries;  queries = gradWeights · keys
      packLeftTransposed(p.weights + from, p.columns, seenKeys, rows, 0, tilesOf(seenKeys), p.left);
      packRight(gradRows, outStride, dim, rows, 0, panelsOf(dim), p.blockPanels);
      product(p.left, rows, p.blockPanels, rows, rows, seenKeys, dim, 0, panelsOf(dim),
              {p.gradValue + from * dim, dim, Target::FloatAdd});
      packLeftTransposed(p.gradWeights + from, p.columns, seenKeys, rows, 0, tilesOf(seenKeys), p.left);
      packRight(p.q, dim, dim, rows, 0, panelsOf(dim), p.blockPanels);
      product(p.left, rows, p.blockPanels, rows, rows, seenKeys, dim, 0, panelsOf(dim),
              {p.gradKey + from * dim, dim, Target::FloatAdd});
      packLeft(p.gradWeights + from, p.columns, rows, seenKeys, 0, tilesOf(rows), p.left);
      productFrom(p.left, p.keyRows, length, from, keys, rows, dim, {p.block, dim, Target::Float});
      scatter(p.block, rows, dim, cos, sin, gradQkv + begin * job.width + head * dim, job.width);
    }
  }
  scatter(p.gradKey, length, dim, job.cos, job.sin, gradQkv + keyOffset(job), job.width);
  scatter(p.gradValue, length, dim, nullptr, nullptr, gradQkv + valueOffset(job), job.width);
}

}  // namespace rankscope::kernels::simd

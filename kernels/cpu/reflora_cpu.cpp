#include "kernels/reflora_ops.h"

#include <ATen/Parallel.h>

#include <map>

#include "kernels/cpu/simd/reflora_loops.h"

// Pairs of one rank are worked in chunks of a fixed size, whatever the number of threads, so that results do not depend
// on it. The r×r algebra runs in float64: eigenvalues of a Gram matrix in float32 lose half of the digits of the
// singular values below 3e-4 of the largest, and B starts near 0.

namespace rankscope::kernels::cpu {

namespace {

constexpr size_t kChunk = 8;

struct Chunk {
  std::vector<size_t> pairs;
  at::Tensor s, sInverse;  // [pairs, r, r] float64
};

std::vector<Chunk> chunksByRank(at::TensorList a) {
  std::map<int64_t, std::vector<size_t>> byRank;
  for (size_t i = 0; i < a.size(); ++i) byRank[a[i].size(0)].push_back(i);
  std::vector<Chunk> chunks;
  for (const auto& [rank, pairs] : byRank)
    for (size_t begin = 0; begin < pairs.size(); begin += kChunk) {
      const size_t end = std::min(begin + kChunk, pairs.size());
      chunks.push_back(
          {{pairs.begin() + static_cast<std::ptrdiff_t>(begin), pairs.begin() + static_cast<std::ptrdiff_t>(end)},
           {},
           {}});
    }
  return chunks;
}

// Rows of a fixed stride, as the loops want them.
at::Tensor withRows(const at::Tensor& t) { return t.stride(1) == 1 ? t : t.contiguous(); }

void gram(const at::Tensor& factor, bool ofRows, double* out) {
  const at::Tensor f = withRows(factor);
  if (f.scalar_type() == at::kDouble)
    ofRows ? simd::gramOfRows(f.const_data_ptr<double>(), f.size(0), f.size(1), f.stride(0), out)
           : simd::gramOfColumns(f.const_data_ptr<double>(), f.size(0), f.size(1), f.stride(0), out);
  else
    ofRows ? simd::gramOfRows(f.const_data_ptr<float>(), f.size(0), f.size(1), f.stride(0), out)
           : simd::gramOfColumns(f.const_data_ptr<float>(), f.size(0), f.size(1), f.stride(0), out);
}

// gradient ← matrix · gradient or gradient · matrix.
template <typename T>
void applyTo(const at::Tensor& gradient, const double* matrix, bool fromLeft) {
  const at::Tensor g = withRows(gradient);
  T* data = g.mutable_data_ptr<T>();
  fromLeft ? simd::multiplyLeft(matrix, g.size(0), data, g.size(1), g.stride(0))
           : simd::multiplyRight(data, g.size(0), g.size(1), g.stride(0), matrix);
  if (!g.is_same(gradient)) gradient.copy_(g);
}

void apply(const at::Tensor& gradient, const at::Tensor& matrix, bool fromLeft) {
  const auto* values = matrix.const_data_ptr<double>();
  gradient.scalar_type() == at::kDouble ? applyTo<double>(gradient, values, fromLeft)
                                        : applyTo<float>(gradient, values, fromLeft);
}

void computeMetric(Chunk& chunk, const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b, double eps) {
  const auto count = static_cast<int64_t>(chunk.pairs.size());
  const int64_t rank = a[chunk.pairs.front()].size(0);
  at::Tensor gramA = at::empty({count, rank, rank}, at::kDouble), gramB = at::empty_like(gramA);
  for (int64_t k = 0; k < count; ++k) {
    const size_t i = chunk.pairs[static_cast<size_t>(k)];
    gram(a[i], true, gramA.mutable_data_ptr<double>() + k * rank * rank);
    gram(b[i], false, gramB.mutable_data_ptr<double>() + k * rank * rank);
  }
  const auto [lambdaA, vA] = at::linalg_eigh(gramA);
  const at::Tensor sigmaA = lambdaA.clamp_min(0).sqrt_().unsqueeze(-2);
  const at::Tensor scaled = vA * sigmaA;  // V_A Σ_A
  const auto [lambdaM, vM] = at::linalg_eigh(scaled.mT().bmm(gramB).bmm(scaled));
  const at::Tensor sigmaM = lambdaM.clamp_min(0).sqrt_().unsqueeze(-2);
  const at::Tensor l = (vA / (sigmaA + eps)).bmm(vM);
  const at::Tensor k = scaled.bmm(vM);
  chunk.s = (l * sigmaM).bmm(l.mT()).contiguous();
  chunk.sInverse = (k / (sigmaM + eps)).bmm(k.mT()).contiguous();
}

// Worker threads do not inherit the caller's no-grad mode.
std::vector<at::Tensor> detached(at::TensorList tensors) {
  std::vector<at::Tensor> out;
  out.reserve(tensors.size());
  for (const at::Tensor& t : tensors) out.push_back(t.detach());
  return out;
}

template <typename Use>
void forEachChunk(at::TensorList listA, at::TensorList listB, double eps, const Use& use) {
  const std::vector<at::Tensor> a = detached(listA), b = detached(listB);
  std::vector<Chunk> chunks = chunksByRank(a);
  at::parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      Chunk& chunk = chunks[static_cast<size_t>(c)];
      computeMetric(chunk, a, b, eps);
      use(chunk);
    }
  });
}

}  // namespace

std::vector<at::Tensor> refloraMetric(at::TensorList a, at::TensorList b, double eps) {
  checkRefLoraPairs(a, b);
  std::vector<at::Tensor> out(2 * a.size());
  const std::vector<at::Tensor> like = detached(a);
  forEachChunk(a, b, eps, [&](const Chunk& chunk) {
    for (size_t k = 0; k < chunk.pairs.size(); ++k) {
      const size_t i = chunk.pairs[k];
      out[i] = chunk.s[static_cast<int64_t>(k)].to(like[i].scalar_type(), /*non_blocking=*/false, /*copy=*/true);
      out[like.size() + i] = chunk.sInverse[static_cast<int64_t>(k)].to(like[i].scalar_type(), false, true);
    }
  });
  return out;
}

void refloraPrecondition(at::TensorList a, at::TensorList b, at::TensorList gradA, at::TensorList gradB, double eps) {
  checkRefLoraPairs(a, b);
  checkRefLoraGradients(a, b, gradA, gradB);
  const std::vector<at::Tensor> targetA = detached(gradA), targetB = detached(gradB);
  forEachChunk(a, b, eps, [&](const Chunk& chunk) {
    for (size_t k = 0; k < chunk.pairs.size(); ++k) {
      const size_t i = chunk.pairs[k];
      apply(targetA[i], chunk.sInverse[static_cast<int64_t>(k)], /*fromLeft=*/true);
      apply(targetB[i], chunk.s[static_cast<int64_t>(k)], /*fromLeft=*/false);
    }
  });
}

}  // namespace rankscope::kernels::cpu

// Attention over packed sequences on the CPU: a task is one sequence and one key/value head; threads take the longest
// tasks first. Each task writes its own part, so the result does not depend on which thread took it.

#include <ATen/Parallel.h>

#include <atomic>
#include <numeric>
#include <torch/library.h>

#include "kernels/cpu/simd/bf16_attention.h"
#include "kernels/cpu/workspace.h"
#include "kernels/generic/generic.h"
#include "kernels/philox.h"

namespace rankscope::kernels::cpu {

namespace {

using op::OptionalTensor;
using simd::Bf16;

void checkArgs(const at::Tensor& qkv, at::IntArrayRef starts, const OptionalTensor& cos, const OptionalTensor& sin,
               const op::AttentionArgs& args) {
  TORCH_CHECK(args.heads > 0 && args.kvHeads > 0 && args.heads % args.kvHeads == 0 && args.headDim > 0 &&
                  qkv.dim() == 2 && qkv.size(1) == (args.heads + 2 * args.kvHeads) * args.headDim,
              "attention: rows of ", qkv.sizes(), " do not hold ", args.heads, " + 2 · ", args.kvHeads, " heads of ",
              args.headDim);
  TORCH_CHECK(!starts.empty() && starts.front() == 0 && starts.back() == qkv.size(0), "attention: boundaries");
  for (size_t i = 1; i < starts.size(); ++i) TORCH_CHECK(starts[i] > starts[i - 1], "attention: empty sequence ", i - 1);
  TORCH_CHECK(cos.has_value() == sin.has_value(), "attention: cos without sin");
  if (cos)
    TORCH_CHECK(args.headDim % 2 == 0 && cos->numel() == qkv.size(0) * args.headDim / 2 &&
                    sin->numel() == cos->numel() && cos->scalar_type() == at::kFloat && cos->is_contiguous() &&
                    sin->scalar_type() == at::kFloat && sin->is_contiguous(),
                "attention: rotary tables ", cos->sizes());
}

bool packedPath(const at::Tensor& qkv) {
  return simd::available() && qkv.scalar_type() == at::kBFloat16 && qkv.is_contiguous();
}

// Runs `task` for every (sequence, key/value head), each with scratch of its thread.
template <typename F>
void overTasks(const at::Tensor& qkv, at::IntArrayRef starts, const OptionalTensor& cos, const OptionalTensor& sin,
               const op::AttentionArgs& args, float* logSums, bool backward, const F& task) {
  const auto sequences = static_cast<int64_t>(starts.size()) - 1, count = sequences * args.kvHeads;
  std::vector<int64_t> order(static_cast<size_t>(sequences));
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](int64_t s) { return starts[static_cast<size_t>(s) + 1] - starts[static_cast<size_t>(s)]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
  const auto scratchBytes = sequences > 0 ? simd::attentionScratch(length(order.front()), args.headDim, backward) : 0;
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min<int64_t>(at::get_num_threads(), count), 1, [&](int64_t, int64_t) {
    void* scratch = Workspace::ofThisThread().slot<char>(0, scratchBytes);
    for (int64_t t = next++; t < count; t = next++) {
      const auto s = order[static_cast<size_t>(t / args.kvHeads)];
      simd::AttentionJob job;
      job.heads = args.heads;
      job.kvHeads = args.kvHeads;
      job.headDim = args.headDim;
      job.width = qkv.size(1);
      job.firstToken = starts[static_cast<size_t>(s)];
      job.length = length(s);
      job.kvHead = t % args.kvHeads;
      job.qkv = static_cast<const Bf16*>(qkv.data_ptr()) + job.firstToken * job.width;
      if (cos) {
        job.cos = cos->data_ptr<float>() + job.firstToken * args.headDim / 2;
        job.sin = sin->data_ptr<float>() + job.firstToken * args.headDim / 2;
      }
      job.causal = args.causal;
      job.window = args.window;
      job.scale = static_cast<float>(args.scale);
      if (args.mask.p > 0) {
        job.dropThreshold = std::max(dropThreshold(args.mask.p), 1u);
        job.keep = static_cast<float>(1.0 / (1.0 - args.mask.p));
        job.seed = static_cast<uint64_t>(args.mask.seed);
        job.place = static_cast<uint64_t>(args.mask.place);
      }
      job.logSums = logSums;
      job.tokens = qkv.size(0);
      task(job, scratch);
    }
  });
}

std::tuple<at::Tensor, at::Tensor> attention(const at::Tensor& qkv, at::IntArrayRef starts, const OptionalTensor& cos,
                                             const OptionalTensor& sin, int64_t heads, int64_t kvHeads,
                                             int64_t headDim, bool causal, double scale, double p, int64_t seed,
                                             int64_t place, int64_t window) {
  const op::AttentionArgs args{heads, kvHeads, headDim, causal, scale, {p, seed, place}, window};
  checkArgs(qkv, starts, cos, sin, args);
  if (!packedPath(qkv)) return generic::attention(qkv, starts, cos, sin, args);
  const auto tokens = qkv.size(0), stride = heads * headDim;
  auto out = at::empty({tokens, stride}, qkv.options());
  auto logSums = at::empty({heads, tokens}, qkv.options().dtype(at::kFloat));
  overTasks(qkv, starts, cos, sin, args, logSums.data_ptr<float>(), false,
            [&](const simd::AttentionJob& job, void* scratch) {
              simd::attentionForward(job, static_cast<Bf16*>(out.data_ptr()) + job.firstToken * stride, stride, scratch);
            });
  return {out, logSums};
}

at::Tensor attentionBackward(const at::Tensor& gradOut, const at::Tensor& qkv, const at::Tensor& out,
                             const at::Tensor& logSums, at::IntArrayRef starts, const OptionalTensor& cos,
                             const OptionalTensor& sin, int64_t heads, int64_t kvHeads, int64_t headDim, bool causal,
                             double scale, double p, int64_t seed, int64_t place, int64_t window) {
  const op::AttentionArgs args{heads, kvHeads, headDim, causal, scale, {p, seed, place}, window};
  checkArgs(qkv, starts, cos, sin, args);
  TORCH_CHECK(gradOut.sizes() == out.sizes() && gradOut.is_contiguous() && gradOut.scalar_type() == qkv.scalar_type(),
              "attention backward: gradient ", gradOut.sizes());
  if (!packedPath(qkv)) return generic::attentionBackward(gradOut, qkv, out, logSums, starts, cos, sin, args);
  const auto stride = heads * headDim;
  auto grad = at::empty_like(qkv);
  overTasks(qkv, starts, cos, sin, args, logSums.data_ptr<float>(), true,
            [&](const simd::AttentionJob& job, void* scratch) {
              const auto offset = job.firstToken * stride;
              simd::attentionBackward(job, static_cast<const Bf16*>(out.data_ptr()) + offset,
                                      static_cast<const Bf16*>(gradOut.data_ptr()) + offset, stride,
                                      static_cast<Bf16*>(grad.data_ptr()) + job.firstToken * job.width, scratch);
            });
  return grad;
}

}  // namespace

void registerAttention(torch::Library& m) {
  m.impl("attention", attention);
  m.impl("attention_backward", attentionBackward);
}

}  // namespace rankscope::kernels::cpu

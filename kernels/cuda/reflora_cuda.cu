// RefLoRA on the GPU: all pairs of one dtype in one launch, a block to a pair. The bodies are in reflora_body.cuh.

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/library.h>

#include <vector>

#include "kernels/cuda/reflora_body.cuh"

namespace rankscope::kernels::cuda {

namespace {

constexpr int kThreads = 256;

// Addresses of one pair, as int64 so that a table of them is a tensor.
struct PairTable {
  const void *a, *b;
  void *gradA, *gradB, *newA, *newB;  // null where only the metric is wanted
  double* scratch;
  int64_t r, in, out;
};

template <typename T>
__global__ void refloraKernel(const PairTable* pairs, double eps) {
  const PairTable p = pairs[blockIdx.x];
  const reflora::Lane lane{static_cast<int64_t>(threadIdx.x), static_cast<int64_t>(blockDim.x)};
  const reflora::Workspace w = reflora::workspaceAt(p.scratch, p.r);
  auto phase = [lane](auto body) {
    body(lane);
    __syncthreads();
  };
  reflora::computeMetric(phase, static_cast<const T*>(p.a), static_cast<const T*>(p.b), p.r, p.in, p.out, eps, w);
  if (p.gradA)
    reflora::apply(lane, w.m, w.t, p.r, p.in, p.out, static_cast<const T*>(p.gradA), static_cast<const T*>(p.gradB),
                   static_cast<T*>(p.newA), static_cast<T*>(p.newB));
}

struct Launch {
  std::vector<at::Tensor> a, b, gradA, gradB, newA, newB;
  at::Tensor scratch;
  std::vector<int64_t> offsets;  // of each pair's workspace
};

void run(Launch& launch, double eps) {
  const size_t count = launch.a.size();
  const c10::cuda::CUDAGuard guard(launch.a.front().device());
  int64_t total = 0;
  for (const auto& a : launch.a) {
    launch.offsets.push_back(total);
    total += reflora::workspaceSize(a.size(0));
  }
  launch.scratch = at::empty({total}, launch.a.front().options().dtype(at::kDouble));
  at::Tensor table = at::empty({static_cast<int64_t>(count * sizeof(PairTable))}, at::TensorOptions(at::kByte));
  auto* entries = reinterpret_cast<PairTable*>(table.mutable_data_ptr<uint8_t>());
  const bool applies = !launch.gradA.empty();
  for (size_t i = 0; i < count; ++i)
    entries[i] = {launch.a[i].const_data_ptr(),
                  launch.b[i].const_data_ptr(),
                  applies ? launch.gradA[i].mutable_data_ptr() : nullptr,
                  applies ? launch.gradB[i].mutable_data_ptr() : nullptr,
                  applies ? launch.newA[i].mutable_data_ptr() : nullptr,
                  applies ? launch.newB[i].mutable_data_ptr() : nullptr,
                  launch.scratch.mutable_data_ptr<double>() + launch.offsets[i],
                  launch.a[i].size(0),
                  launch.a[i].size(1),
                  launch.b[i].size(0)};
  const at::Tensor onDevice = table.to(launch.a.front().device());
  const auto* pairs = reinterpret_cast<const PairTable*>(onDevice.const_data_ptr<uint8_t>());
  const auto stream = at::cuda::getCurrentCUDAStream();
  if (launch.a.front().scalar_type() == at::kDouble)
    refloraKernel<double><<<static_cast<unsigned>(count), kThreads, 0, stream>>>(pairs, eps);
  else
    refloraKernel<float><<<static_cast<unsigned>(count), kThreads, 0, stream>>>(pairs, eps);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

std::vector<at::Tensor> contiguous(at::TensorList tensors) {
  std::vector<at::Tensor> out;
  for (const at::Tensor& t : tensors) out.push_back(t.detach().contiguous());
  return out;
}

void check(at::TensorList a, at::TensorList b) {
  TORCH_CHECK(!a.empty() && a.size() == b.size(), "reflora: ", a.size(), " factors A, ", b.size(), " factors B");
  for (size_t i = 0; i < a.size(); ++i)
    TORCH_CHECK(a[i].dim() == 2 && b[i].dim() == 2 && a[i].size(0) == b[i].size(1) && a[i].size(0) > 0 &&
                    a[i].device() == a[0].device() && b[i].device() == a[0].device() &&
                    (a[i].scalar_type() == at::kFloat || a[i].scalar_type() == at::kDouble) &&
                    a[i].scalar_type() == a[0].scalar_type() && b[i].scalar_type() == a[0].scalar_type(),
                "reflora: pair ", i, " has another shape, dtype or device");
}

std::vector<at::Tensor> refloraMetric(at::TensorList a, at::TensorList b, double eps) {
  check(a, b);
  Launch launch;
  launch.a = contiguous(a);
  launch.b = contiguous(b);
  run(launch, eps);
  std::vector<at::Tensor> out(2 * launch.a.size());
  for (size_t i = 0; i < launch.a.size(); ++i) {
    const int64_t r = launch.a[i].size(0), begin = launch.offsets[i];
    auto matrix = [&](int64_t index) {
      return launch.scratch.slice(0, begin + index * r * r, begin + (index + 1) * r * r)
          .reshape({r, r})
          .to(launch.a[i].scalar_type(), false, true);
    };
    out[i] = matrix(2);                    // Workspace::m holds S
    out[launch.a.size() + i] = matrix(5);  // Workspace::t holds S⁻¹
  }
  return out;
}

void refloraPrecondition(at::TensorList a, at::TensorList b, at::TensorList gradA, at::TensorList gradB, double eps) {
  check(a, b);
  TORCH_CHECK(gradA.size() == a.size() && gradB.size() == b.size(), "reflora: one gradient a factor is needed");
  Launch launch;
  launch.a = contiguous(a);
  launch.b = contiguous(b);
  launch.gradA = contiguous(gradA);
  launch.gradB = contiguous(gradB);
  for (size_t i = 0; i < a.size(); ++i) {
    TORCH_CHECK(gradA[i].sizes() == a[i].sizes() && gradB[i].sizes() == b[i].sizes() &&
                    gradA[i].scalar_type() == a[i].scalar_type() && gradB[i].scalar_type() == b[i].scalar_type() &&
                    gradA[i].device() == a[i].device() && gradB[i].device() == b[i].device(),
                "reflora: the gradients of pair ", i, " do not look like its factors");
    launch.newA.push_back(at::empty_like(launch.gradA[i]));
    launch.newB.push_back(at::empty_like(launch.gradB[i]));
  }
  run(launch, eps);
  for (size_t i = 0; i < a.size(); ++i) {
    gradA[i].copy_(launch.newA[i]);
    gradB[i].copy_(launch.newB[i]);
  }
}

}  // namespace

}  // namespace rankscope::kernels::cuda

TORCH_LIBRARY_IMPL(rankscope, CUDA, m) {
  m.impl("reflora_metric", rankscope::kernels::cuda::refloraMetric);
  m.impl("reflora_precondition", rankscope::kernels::cuda::refloraPrecondition);
}

// Every schema of the operators on one page, and the typed calls that dispatch to them. Being called from ops.cpp is
// what keeps this registration in a statically linked program.

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "kernels/registered.h"

TORCH_LIBRARY_FRAGMENT(rankscope, m) {
  m.def("rms_norm(Tensor x, Tensor? residual, Tensor weight, float eps) -> (Tensor, Tensor, Tensor)");
  m.def("rms_norm_backward(Tensor grad_y, Tensor? grad_sum, Tensor sum, Tensor weight, Tensor rstd, bool weight_grad)"
        " -> (Tensor, Tensor)");
  m.def("layer_norm(Tensor x, Tensor? residual, Tensor weight, Tensor bias, float eps, float p, int seed, int place)"
        " -> (Tensor, Tensor, Tensor, Tensor)");
  m.def("layer_norm_backward(Tensor grad_y, Tensor sum, Tensor weight, Tensor mean, Tensor rstd, float p, int seed,"
        " int place, bool weight_grad) -> (Tensor, Tensor, Tensor, Tensor)");
  m.def("swiglu(Tensor gate_up) -> Tensor");
  m.def("swiglu_backward(Tensor grad_y, Tensor gate_up) -> Tensor");
  m.def("gelu(Tensor x) -> Tensor");
  m.def("gelu_backward(Tensor grad_y, Tensor x) -> Tensor");
  m.def("dropout(Tensor x, float p, int seed, int place) -> Tensor");
  m.def("dora_row_norms(Tensor weight, Tensor a, Tensor b, float scaling) -> Tensor");
  m.def("rescale_columns(Tensor x, Tensor? shift, Tensor excess) -> Tensor");
  m.def("rescale_columns_backward(Tensor grad_y, Tensor x, Tensor? shift, Tensor excess) -> (Tensor, Tensor, Tensor)");
  m.def("attention(Tensor qkv, int[] starts, Tensor? cos, Tensor? sin, int heads, int kv_heads, int head_dim,"
        " bool causal, float scale, float p, int seed, int place, int window) -> (Tensor, Tensor)");
  m.def("attention_backward(Tensor grad_out, Tensor qkv, Tensor out, Tensor log_sums, int[] starts, Tensor? cos,"
        " Tensor? sin, int heads, int kv_heads, int head_dim, bool causal, float scale, float p, int seed, int place,"
        " int window) -> Tensor");
  m.def("low_rank_linear(Tensor x, Tensor weight, Tensor? bias, Tensor[] a, Tensor[] b, int[] rows, float[] scalings,"
        " float p, int seed, int place) -> (Tensor, Tensor)");
  m.def("low_rank_linear_backward(Tensor grad_y, Tensor x, Tensor weight, Tensor u, Tensor[] a, Tensor[] b, int[] rows,"
        " float[] scalings, float p, int seed, int place, bool need_x) -> (Tensor, Tensor, Tensor[])");
  m.def("four_bit_linear(Tensor x, Tensor[] weight, int[] shape, Tensor? bias, Tensor[] a, Tensor[] b, int[] rows,"
        " float[] scalings, float p, int seed, int place) -> (Tensor, Tensor)");
  m.def("four_bit_linear_backward(Tensor grad_y, Tensor x, Tensor[] weight, int[] shape, Tensor u, Tensor[] a,"
        " Tensor[] b, int[] rows, float[] scalings, float p, int seed, int place, bool need_x)"
        " -> (Tensor, Tensor, Tensor[])");
  m.def("weight_gradient(Tensor grad_y, Tensor x) -> Tensor");
  m.def("linear_cross_entropy(Tensor hidden, Tensor weight, Tensor labels, float factor, bool hidden_grad,"
        " bool weight_grad) -> (Tensor, Tensor, Tensor)");
}

namespace rankscope::kernels::cpu {
void registerRows(torch::Library& m);
void registerDora(torch::Library& m);
void registerProducts(torch::Library& m);
void registerAttention(torch::Library& m);
void registerLoss(torch::Library& m);
}  // namespace rankscope::kernels::cpu

namespace rankscope::kernels::generic {
void registerForCuda(torch::Library& m);
}

TORCH_LIBRARY_IMPL(rankscope, CUDA, m) { rankscope::kernels::generic::registerForCuda(m); }

TORCH_LIBRARY_IMPL(rankscope, CPU, m) {
  using namespace rankscope::kernels::cpu;
  registerRows(m);
  registerDora(m);
  registerProducts(m);
  registerAttention(m);
  registerLoss(m);
}

namespace rankscope::kernels::op {

namespace {

// Below autograd: the formulas of ops.cpp are the derivative.
template <typename Signature, typename... Args>
auto callBelow(const c10::TypedOperatorHandle<Signature>& handle, Args&&... args) {
  at::AutoDispatchBelowADInplaceOrView below;
  return handle.call(std::forward<Args>(args)...);
}

template <typename Signature>
c10::TypedOperatorHandle<Signature> find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

using Two = std::tuple<at::Tensor, at::Tensor>;
using Three = std::tuple<at::Tensor, at::Tensor, at::Tensor>;
using Four = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;
using LowRankGradients = std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>>;

}  // namespace

Three rmsNorm(const at::Tensor& x, const OptionalTensor& residual, const at::Tensor& weight, double eps) {
  static const auto h = find<Three(const at::Tensor&, const OptionalTensor&, const at::Tensor&, double)>(
      "rankscope::rms_norm");
  return callBelow(h, x, residual, weight, eps);
}

Two rmsNormBackward(const at::Tensor& gradY, const OptionalTensor& gradSum, const at::Tensor& sum,
                    const at::Tensor& weight, const at::Tensor& rstd, bool weightGrad) {
  static const auto h = find<Two(const at::Tensor&, const OptionalTensor&, const at::Tensor&, const at::Tensor&,
                                 const at::Tensor&, bool)>("rankscope::rms_norm_backward");
  return callBelow(h, gradY, gradSum, sum, weight, rstd, weightGrad);
}

Four layerNorm(const at::Tensor& x, const OptionalTensor& residual, const at::Tensor& weight, const at::Tensor& bias,
               double eps, const MaskArgs& mask) {
  static const auto h = find<Four(const at::Tensor&, const OptionalTensor&, const at::Tensor&, const at::Tensor&,
                                  double, double, int64_t, int64_t)>("rankscope::layer_norm");
  return callBelow(h, x, residual, weight, bias, eps, mask.p, mask.seed, mask.place);
}

Four layerNormBackward(const at::Tensor& gradY, const at::Tensor& sum, const at::Tensor& weight,
                       const at::Tensor& mean, const at::Tensor& rstd, const MaskArgs& mask, bool weightGrad) {
  static const auto h = find<Four(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                  const at::Tensor&, double, int64_t, int64_t, bool)>("rankscope::layer_norm_backward");
  return callBelow(h, gradY, sum, weight, mean, rstd, mask.p, mask.seed, mask.place, weightGrad);
}

at::Tensor swiglu(const at::Tensor& gateUp) {
  static const auto h = find<at::Tensor(const at::Tensor&)>("rankscope::swiglu");
  return callBelow(h, gateUp);
}

at::Tensor swigluBackward(const at::Tensor& gradY, const at::Tensor& gateUp) {
  static const auto h = find<at::Tensor(const at::Tensor&, const at::Tensor&)>("rankscope::swiglu_backward");
  return callBelow(h, gradY, gateUp);
}

at::Tensor gelu(const at::Tensor& x) {
  static const auto h = find<at::Tensor(const at::Tensor&)>("rankscope::gelu");
  return callBelow(h, x);
}

at::Tensor geluBackward(const at::Tensor& gradY, const at::Tensor& x) {
  static const auto h = find<at::Tensor(const at::Tensor&, const at::Tensor&)>("rankscope::gelu_backward");
  return callBelow(h, gradY, x);
}

at::Tensor dropout(const at::Tensor& x, const MaskArgs& mask) {
  static const auto h = find<at::Tensor(const at::Tensor&, double, int64_t, int64_t)>("rankscope::dropout");
  return callBelow(h, x, mask.p, mask.seed, mask.place);
}

at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling) {
  static const auto h = find<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, double)>(
      "rankscope::dora_row_norms");
  return callBelow(h, weight, a, b, scaling);
}

at::Tensor rescaleColumns(const at::Tensor& x, const OptionalTensor& shift, const at::Tensor& excess) {
  static const auto h =
      find<at::Tensor(const at::Tensor&, const OptionalTensor&, const at::Tensor&)>("rankscope::rescale_columns");
  return callBelow(h, x, shift, excess);
}

Three rescaleColumnsBackward(const at::Tensor& gradY, const at::Tensor& x, const OptionalTensor& shift,
                             const at::Tensor& excess) {
  static const auto h = find<Three(const at::Tensor&, const at::Tensor&, const OptionalTensor&, const at::Tensor&)>(
      "rankscope::rescale_columns_backward");
  return callBelow(h, gradY, x, shift, excess);
}

Two attention(const at::Tensor& qkv, at::IntArrayRef starts, const OptionalTensor& cos, const OptionalTensor& sin,
              const AttentionArgs& args) {
  static const auto h =
      find<Two(const at::Tensor&, at::IntArrayRef, const OptionalTensor&, const OptionalTensor&, int64_t, int64_t,
               int64_t, bool, double, double, int64_t, int64_t, int64_t)>("rankscope::attention");
  return callBelow(h, qkv, starts, cos, sin, args.heads, args.kvHeads, args.headDim, args.causal, args.scale,
                   args.mask.p, args.mask.seed, args.mask.place, args.window);
}

at::Tensor attentionBackward(const at::Tensor& gradOut, const at::Tensor& qkv, const at::Tensor& out,
                             const at::Tensor& logSums, at::IntArrayRef starts, const OptionalTensor& cos,
                             const OptionalTensor& sin, const AttentionArgs& args) {
  static const auto h =
      find<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, at::IntArrayRef,
                      const OptionalTensor&, const OptionalTensor&, int64_t, int64_t, int64_t, bool, double, double,
                      int64_t, int64_t, int64_t)>("rankscope::attention_backward");
  return callBelow(h, gradOut, qkv, out, logSums, starts, cos, sin, args.heads, args.kvHeads, args.headDim,
                   args.causal, args.scale, args.mask.p, args.mask.seed, args.mask.place, args.window);
}

Two lowRankLinear(const at::Tensor& x, const FrozenWeight& weight, const OptionalTensor& bias,
                  const LowRankArgs& args) {
  static const auto plain =
      find<Two(const at::Tensor&, const at::Tensor&, const OptionalTensor&, at::TensorList, at::TensorList,
               at::IntArrayRef, at::ArrayRef<double>, double, int64_t, int64_t)>("rankscope::low_rank_linear");
  static const auto coded =
      find<Two(const at::Tensor&, at::TensorList, at::IntArrayRef, const OptionalTensor&, at::TensorList,
               at::TensorList, at::IntArrayRef, at::ArrayRef<double>, double, int64_t, int64_t)>(
          "rankscope::four_bit_linear");
  if (!weight.coded.empty())
    return callBelow(coded, x, fourBitParts(weight.coded), fourBitShape(weight.coded), bias, args.a, args.b, args.rows,
                     args.scalings, args.mask.p, args.mask.seed, args.mask.place);
  return callBelow(plain, x, weight.plain, bias, args.a, args.b, args.rows, args.scalings, args.mask.p,
                   args.mask.seed, args.mask.place);
}

LowRankGradients lowRankLinearBackward(const at::Tensor& gradY, const at::Tensor& x, const FrozenWeight& weight,
                                       const at::Tensor& u, const LowRankArgs& args, bool needX) {
  static const auto plain = find<LowRankGradients(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                  const at::Tensor&, at::TensorList, at::TensorList, at::IntArrayRef,
                                                  at::ArrayRef<double>, double, int64_t, int64_t, bool)>(
      "rankscope::low_rank_linear_backward");
  static const auto coded =
      find<LowRankGradients(const at::Tensor&, const at::Tensor&, at::TensorList, at::IntArrayRef, const at::Tensor&,
                            at::TensorList, at::TensorList, at::IntArrayRef, at::ArrayRef<double>, double, int64_t,
                            int64_t, bool)>("rankscope::four_bit_linear_backward");
  if (!weight.coded.empty())
    return callBelow(coded, gradY, x, fourBitParts(weight.coded), fourBitShape(weight.coded), u, args.a, args.b,
                     args.rows, args.scalings, args.mask.p, args.mask.seed, args.mask.place, needX);
  return callBelow(plain, gradY, x, weight.plain, u, args.a, args.b, args.rows, args.scalings, args.mask.p,
                   args.mask.seed, args.mask.place, needX);
}

at::Tensor weightGradient(const at::Tensor& gradY, const at::Tensor& x) {
  static const auto h = find<at::Tensor(const at::Tensor&, const at::Tensor&)>("rankscope::weight_gradient");
  return callBelow(h, gradY, x);
}

Three linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels, double factor,
                         bool hiddenGrad, bool weightGrad) {
  static const auto h =
      find<Three(const at::Tensor&, const at::Tensor&, const at::Tensor&, double, bool, bool)>(
          "rankscope::linear_cross_entropy");
  return callBelow(h, hidden, weight, labels, factor, hiddenGrad, weightGrad);
}

}  // namespace rankscope::kernels::op

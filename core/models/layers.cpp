#include "core/models/layers.h"

#include "core/models/config_reader.h"
#include "core/models/model.h"
#include "kernels/ops.h"

namespace rankscope {

Activation readActivation(const ConfigReader& config, const std::string& key, const std::string& standard) {
  static const std::pair<const char*, Activation> known[] = {
      {"gelu", Activation::Gelu},          {"gelu_python", Activation::Gelu},
      {"gelu_new", Activation::GeluTanh},  {"gelu_fast", Activation::GeluTanh},
      {"gelu_pytorch_tanh", Activation::GeluTanh}, {"quick_gelu", Activation::QuickGelu},
      {"relu", Activation::Relu},          {"silu", Activation::Silu},
      {"swish", Activation::Silu},         {"tanh", Activation::Tanh},
      {"sigmoid", Activation::Sigmoid},    {"linear", Activation::Identity}};
  const auto name = config.text(key, standard);
  std::string names;
  for (const auto& [text, activation] : known) {
    if (name == text) return activation;
    names += (names.empty() ? "" : ", ") + std::string(text);
  }
  config.fail(key, name, names, "This activation is not supported; choose another model.");
}

at::Tensor activate(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::Gelu: return kernels::gelu(x);
    case Activation::GeluTanh: return at::gelu(x, "tanh");
    case Activation::QuickGelu: return x * at::sigmoid(x * 1.702);
    case Activation::Relu: return at::relu(x);
    case Activation::Silu: return at::silu(x);
    case Activation::Tanh: return at::tanh(x);
    case Activation::Sigmoid: return at::sigmoid(x);
    case Activation::Identity: break;
  }
  return x;
}

NormWeights normWeights(const ParameterTable& parameters, const std::string& name) {
  return {parameters.at(name + ".weight"), parameters.at(name + ".bias")};
}

at::ScalarType sumType(at::ScalarType compute) { return compute == at::kDouble ? at::kDouble : at::kFloat; }

uint64_t maskSeed(const ForwardContext& context) {
  return kernels::dropoutSeed(context.dropoutSeed, context.step, context.microBatch);
}

at::Tensor dropped(const at::Tensor& x, double p, ForwardContext& context) {
  if (!context.training || p <= 0) return x;
  return kernels::dropout(x, p, maskSeed(context), context.nextPlace++);
}

}  // namespace rankscope

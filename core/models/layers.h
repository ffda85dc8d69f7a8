#pragma once
// Small parts that families share: activations by their published names, dropout at a counted place, norms, and the
// width in which sums are taken.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "core/models/linear_site.h"

namespace rankscope {

class ConfigReader;
class ParameterTable;

enum class Activation { Gelu, GeluTanh, QuickGelu, Relu, Silu, Tanh, Sigmoid, Identity };

// The entry `key` of config.json; throws ErrorException for a name that is not among transformers' common ones.
Activation readActivation(const ConfigReader& config, const std::string& key, const std::string& standard);
at::Tensor activate(Activation activation, const at::Tensor& x);

// A layer norm's parameters, named <name>.weight and <name>.bias.
struct NormWeights {
  at::Tensor weight, bias;
};
NormWeights normWeights(const ParameterTable& parameters, const std::string& name);

// float64 stays what it is (gradient checks); everything else is summed in float32.
at::ScalarType sumType(at::ScalarType compute);

// The seed of a pass's masks; its places are counted in ForwardContext::nextPlace.
uint64_t maskSeed(const ForwardContext& context);
at::Tensor dropped(const at::Tensor& x, double p, ForwardContext& context);
// Dropout of attention's probabilities, while training; takes a place of its own. For either kind of attention spec.
template <typename Spec>
void dropProbabilities(Spec& spec, double p, ForwardContext& context) {
  if (!context.training || p <= 0) return;
  spec.dropoutP = p;
  spec.seed = maskSeed(context);
  spec.place = context.nextPlace++;
}

}  // namespace rankscope

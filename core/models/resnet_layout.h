#pragma once
// The parts of a residual network by the names that its checkpoint has: transformers' ("resnet.encoder.stages.0…") or
// those of torchvision and the CIFAR networks ("layer1.0.conv1"). Read from config.json, which a bare state dict is given
// from the names and shapes of its tensors. Values, any thread.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/io/weight_file.h"
#include "core/models/layers.h"

namespace rankscope {

// A convolution without bias and the batch norm behind it; padded so that a stride of 1 keeps the size.
struct ResnetConv {
  std::string conv, norm;
  int64_t in = 0, out = 0, kernel = 1, stride = 1;
  std::string kind;    // the name within its block: "layer.0.convolution", "conv1"
  int64_t block = -1;  // counted through the stages; -1: the stem

  int64_t padding() const { return (kernel - 1) / 2; }
};

struct ResnetBlock {
  std::vector<ResnetConv> convs;
  std::optional<ResnetConv> shortcut;
  // A shortcut without parameters (He et al. 2016, option A): every second pixel, and so many channels of zeros on each
  // side. 0: the input as it is.
  int64_t padChannels = 0;
};

struct ResnetLayout {
  ResnetConv stem;
  bool stemPools = true;
  std::vector<std::vector<ResnetBlock>> stages;
  std::string classifier;  // "classifier.1", "fc", "linear"
  int64_t channels = 3, features = 0, labels = 2;
  Activation activation = Activation::Relu;

  int64_t blocks() const;
  std::vector<ResnetConv> convs() const;  // in the order of the forward pass, a block's shortcut behind its convolutions
};

inline constexpr const char* kBareResnetType = "torchvision_resnet";

// Throws ErrorException.
ResnetLayout readResnetLayout(const nlohmann::json& config);
// A config.json for a state dict that came without one; empty where the tensors are not those of a residual network.
std::optional<nlohmann::json> bareResnetConfig(const std::vector<TensorInfo>& tensors);

}  // namespace rankscope

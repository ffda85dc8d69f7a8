#pragma once
// PyTorch's own files as one of the weight formats (see weight_file.h): the zip archive of PyTorch 1.6 and later, and
// the run of pickles that earlier versions wrote. Nothing in them is executed, LibTorch's reader is not used: the
// pickles go through core/io/pickle.h, and tensors are views onto the mapped file. Free functions, any thread.

#include <string_view>

#include "core/io/torch_pickle.h"
#include "core/io/weight_file.h"

namespace rankscope {

bool looksLikeTorchFile(std::string_view start);
Result<WeightFilePtr> openTorchFile(const std::filesystem::path& path);

// The table of such a file: the weights, and where each storage's bytes lie.
struct TorchLayout {
  TorchState state;
  std::vector<uint64_t> storageAt;  // by TorchTensor::storage
};
Result<TorchLayout> parseTorchFile(std::string_view bytes, const std::string& where);

}  // namespace rankscope

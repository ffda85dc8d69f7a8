#pragma once
// Where an optimizer's moments lie: in ordinary memory, or, paged (QLoRA, Dettmers et al. 2023, section 3), in a mapping of
// an unlinked temporary file. The kernel can then write their pages out when memory is short and read them back at the next
// step, whether or not the machine has swap; the values are the same to the bit, and nothing is left behind however the
// process ends. The file's room on the disk is taken at once, so that a full disk is an error before the first step. The
// tensors keep the mapping alive. On a GPU this would be managed memory; the trainer computes on the CPU alone.

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/optim/optimizer.h"

namespace rankscope {

class StateMemory {
 public:
  StateMemory() = default;  // ordinary memory
  // Room for `slots` tensors like each of the parameters, in a file of `folder`; ordinary memory where that is empty.
  static Result<StateMemory> make(const std::filesystem::path& folder, const std::vector<OptimizedParameter>& parameters,
                                  int slots);

  // Zeros of the shape, layout and dtype of `like`.
  at::Tensor zerosLike(const at::Tensor& like);

 private:
  struct Mapping;
  std::shared_ptr<Mapping> m_mapping;
  size_t m_used = 0;
};

}  // namespace rankscope

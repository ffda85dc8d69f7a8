#pragma once
// What all optimizers here share: the parameters in groups of one (rate scale, decay, dtype, device), so that each
// group is one fused call, and the checks of a saved state. Owned by an optimizer; the tensors are the trainer's.

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/optim/optimizer.h"

namespace rankscope {

class ParameterGroups {
 public:
  struct Group {
    double learningRateScale = 1.0;
    bool decay = true;
    std::vector<size_t> members;  // indices into parameters()
  };

  explicit ParameterGroups(std::vector<OptimizedParameter> parameters);

  const std::vector<OptimizedParameter>& parameters() const { return m_parameters; }
  const std::vector<Group>& groups() const { return m_groups; }
  // Index of a parameter by identity of its tensor; -1 when it is not one of ours.
  int64_t find(const at::Tensor& parameter) const;

 private:
  std::vector<OptimizedParameter> m_parameters;
  std::vector<Group> m_groups;
  std::unordered_map<const void*, size_t> m_index;
};

// Gradient ready for a fused kernel: defined, same dtype, laid out like the parameter. Undefined when there is none.
at::Tensor fusedGradient(const at::Tensor& parameter);

// The fused kernels do not count as changes in a tensor's version; what is derived from parameters (DoRA's row norms) must
// see that they moved.
void countAsChanged(const std::vector<at::Tensor>& values);

// What an optimizer keeps for each parameter under "<parameter><suffix>": one tensor per parameter, in their order.
struct StateSlot {
  const char* suffix;  // ".exp_avg"
  std::vector<at::Tensor> tensors;  // handles: what is copied into them is copied into the optimizer's own
};
// The slots of all parameters and the count of steps, as they are saved.
std::map<std::string, at::Tensor> saveSlots(const ParameterGroups& groups, const std::vector<StateSlot>& slots,
                                            int64_t stepsTaken);
// Copies a saved state into the slots. Everything is checked first (names, shapes, dtypes, nothing left over), so that a
// state of other parameters changes nothing.
Result<void> loadSlots(const std::map<std::string, at::Tensor>& state, const ParameterGroups& groups,
                       const std::vector<StateSlot>& slots, int64_t& stepsTaken);

}  // namespace rankscope

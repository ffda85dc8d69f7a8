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

// One saved tensor of a named slot ("<parameter>.exp_avg"): present, of the right shape and dtype.
Result<void> checkSlot(const std::map<std::string, at::Tensor>& state, const std::string& key, const at::Tensor& like);
// Entries of `state` beyond the `known` keys mean that the state belongs to other parameters.
Result<void> checkNoStrangers(const std::map<std::string, at::Tensor>& state, const std::vector<std::string>& known);

}  // namespace rankscope

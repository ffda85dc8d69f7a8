#include "core/optim/parameter_groups.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace rankscope {

namespace {

constexpr const char* kStepsTaken = "optimizer.steps_taken";

std::string shapeText(const at::Tensor& t) {
  return fmt::format("{} [{}]", c10::toString(t.scalar_type()), fmt::join(t.sizes().vec(), ", "));
}

Result<void> checkSlot(const std::map<std::string, at::Tensor>& state, const std::string& key, const at::Tensor& like) {
  auto found = state.find(key);
  if (found == state.end())
    return Error{ErrorCode::BadInput,
                 "The optimizer state lacks a tensor",
                 key,
                 "nothing",
                 shapeText(like),
                 "Resume from a checkpoint of a run with the same method, sites and optimizer."};
  if (found->second.sizes() != like.sizes() || found->second.scalar_type() != like.scalar_type())
    return Error{ErrorCode::BadInput,
                 "The optimizer state does not fit the parameter",
                 key,
                 shapeText(found->second),
                 shapeText(like),
                 "Resume from a checkpoint of a run with the same rank, sites and precision."};
  return {};
}

Result<void> checkNoStrangers(const std::map<std::string, at::Tensor>& state, const std::vector<std::string>& known) {
  std::vector<std::string> sorted = known;
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [key, value] : state)
    if (!std::binary_search(sorted.begin(), sorted.end(), key))
      return Error{ErrorCode::BadInput,
                   "The optimizer state holds a tensor that no parameter of this run owns",
                   key,
                   shapeText(value),
                   "one of this run's parameters",
                   "Resume from a checkpoint of a run with the same method, sites and optimizer."};
  return {};
}

}  // namespace

ParameterGroups::ParameterGroups(std::vector<OptimizedParameter> parameters) : m_parameters(std::move(parameters)) {
  for (size_t i = 0; i < m_parameters.size(); ++i) {
    const OptimizedParameter& p = m_parameters[i];
    m_index.emplace(p.tensor.unsafeGetTensorImpl(), i);
    auto sameGroup = [&](const Group& g) {
      const at::Tensor& first = m_parameters[g.members.front()].tensor;
      return g.learningRateScale == p.learningRateScale && g.decay == p.decay &&
             first.scalar_type() == p.tensor.scalar_type() && first.device() == p.tensor.device();
    };
    auto group = std::find_if(m_groups.begin(), m_groups.end(), sameGroup);
    if (group == m_groups.end()) {
      m_groups.push_back({p.learningRateScale, p.decay, {}});
      group = m_groups.end() - 1;
    }
    group->members.push_back(i);
  }
}

int64_t ParameterGroups::find(const at::Tensor& parameter) const {
  auto found = m_index.find(parameter.unsafeGetTensorImpl());
  return found == m_index.end() ? -1 : static_cast<int64_t>(found->second);
}

at::Tensor fusedGradient(const at::Tensor& parameter) {
  at::Tensor gradient = parameter.grad();
  if (!gradient.defined()) return {};
  if (gradient.scalar_type() != parameter.scalar_type()) gradient = gradient.to(parameter.scalar_type());
  // The fused kernels walk p, g, m and v with one index.
  if (gradient.strides() != parameter.strides()) gradient = at::empty_like(parameter).copy_(gradient);
  return gradient;
}

void countAsChanged(const std::vector<at::Tensor>& values) {
  for (const at::Tensor& value : values) value.unsafeGetTensorImpl()->bump_version();
}

std::map<std::string, at::Tensor> saveSlots(const ParameterGroups& groups, const std::vector<StateSlot>& slots,
                                            int64_t stepsTaken) {
  std::map<std::string, at::Tensor> out;
  for (const StateSlot& slot : slots)
    for (size_t i = 0; i < slot.tensors.size(); ++i) out[groups.parameters()[i].name + slot.suffix] = slot.tensors[i];
  out[kStepsTaken] = at::full({}, stepsTaken, at::kLong);
  return out;
}

Result<void> loadSlots(const std::map<std::string, at::Tensor>& state, const ParameterGroups& groups,
                       const std::vector<StateSlot>& slots, int64_t& stepsTaken) {
  std::vector<std::string> known{kStepsTaken};
  if (auto ok = checkSlot(state, kStepsTaken, at::empty({}, at::kLong)); !ok) return ok;
  for (const StateSlot& slot : slots)
    for (size_t i = 0; i < slot.tensors.size(); ++i) {
      known.push_back(groups.parameters()[i].name + slot.suffix);
      if (auto ok = checkSlot(state, known.back(), slot.tensors[i]); !ok) return ok;
    }
  if (auto ok = checkNoStrangers(state, known); !ok) return ok;
  const at::NoGradGuard noGrad;
  for (const StateSlot& slot : slots)
    for (size_t i = 0; i < slot.tensors.size(); ++i)
      at::Tensor(slot.tensors[i]).copy_(state.at(groups.parameters()[i].name + slot.suffix));
  stepsTaken = state.at(kStepsTaken).item<int64_t>();
  return {};
}

}  // namespace rankscope

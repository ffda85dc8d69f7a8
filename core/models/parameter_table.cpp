#include <fmt/format.h>

#include "core/models/model.h"

namespace rankscope {

void ParameterTable::add(std::string name, at::Tensor value) {
  m_index[name] = m_entries.size();
  m_entries.push_back({std::move(name), std::move(value)});
}

void ParameterTable::alias(std::string name, std::string target) { m_aliases[std::move(name)] = std::move(target); }

bool ParameterTable::contains(const std::string& name) const {
  return m_index.count(name) != 0 || m_aliases.count(name) != 0;
}

const at::Tensor& ParameterTable::at(const std::string& name) const {
  const auto aliased = m_aliases.find(name);
  const auto found = m_index.find(aliased == m_aliases.end() ? name : aliased->second);
  if (found == m_index.end())
    throw ErrorException({ErrorCode::Internal, "the model has no such parameter", name, "no entry",
                          fmt::format("one of {} parameters", m_entries.size()),
                          "Check the name against the model's list of tensors."});
  return m_entries[found->second].tensor;
}

at::Tensor& ParameterTable::at(const std::string& name) {
  return const_cast<at::Tensor&>(static_cast<const ParameterTable&>(*this).at(name));
}

void ParameterTable::replace(const std::string& name, at::Tensor value) { at(name) = std::move(value); }

}  // namespace rankscope

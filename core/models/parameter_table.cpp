#include <fmt/format.h>

#include "core/models/model.h"

namespace rankscope {

void ParameterTable::add(std::string name, at::Tensor value) {
  m_index[name] = m_entries.size();
  m_entries.push_back({std::move(name), std::move(value)});
}

void ParameterTable::addView(std::string name, at::Tensor value, std::function<void()> release) {
  m_release[name] = std::move(release);
  add(std::move(name), std::move(value));
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

void ParameterTable::replace(const std::string& name, at::Tensor value) {
  at(name) = std::move(value);
  released(name);
}

void ParameterTable::remove(const std::string& name) {
  const auto found = m_index.find(name);
  if (found == m_index.end()) return;
  m_entries.erase(m_entries.begin() + static_cast<std::ptrdiff_t>(found->second));
  m_index.clear();
  for (size_t i = 0; i < m_entries.size(); ++i) m_index[m_entries[i].name] = i;
  released(name);
}

void ParameterTable::released(const std::string& name) {
  const auto found = m_release.find(name);
  if (found == m_release.end()) return;
  found->second();
  m_release.erase(found);
}

}  // namespace rankscope

#pragma once
// Sites that read the same input (query, key, value; gate, up). Where their weights lie side by side in memory, or are all
// kept in 4 bits, and their adapters are plain low-rank ones, the whole group is one product; otherwise each site computes
// its own part.
// Points into the model's sites; lives as long as the model.

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "core/models/linear_site.h"

namespace rankscope {

class SiteGroup {
 public:
  SiteGroup() = default;
  explicit SiteGroup(std::vector<LinearSite*> sites) : m_sites(std::move(sites)) {}

  // After the sites' tensors changed.
  void rebind();
  // x [T, in] -> [T, sum of outs], the sites' outputs side by side.
  at::Tensor forward(const at::Tensor& x, ForwardContext& context) const;

 private:
  at::Tensor rescaled(const at::Tensor& y, const at::Tensor& bias,
                      const std::vector<std::optional<ColumnScale>>& scales) const;

  std::vector<LinearSite*> m_sites;
  std::vector<int64_t> m_outs;
  bool m_together = false;  // the weights can be one operand: m_weight, or m_coded
  at::Tensor m_weight;      // all weights as one matrix, sharing their memory
  std::vector<kernels::FourBitWeight> m_coded;
  at::Tensor m_bias;
  bool m_biasTrains = false;
};

}  // namespace rankscope

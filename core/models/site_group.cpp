#include "core/models/site_group.h"

#include <algorithm>

#include "kernels/dora_ops.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

// The rows of all weights as one [sum, in] view, when each begins where the one before it ends.
at::Tensor stackedView(const std::vector<LinearSite*>& sites) {
  const auto& first = sites.front()->weight;
  int64_t rows = 0;
  auto next = first.storage_offset();
  for (const auto* site : sites) {
    const auto& w = site->weight;
    if (w.requires_grad() || !w.is_contiguous() || w.scalar_type() != first.scalar_type() ||
        w.size(1) != first.size(1) || w.storage().unsafeGetStorageImpl() != first.storage().unsafeGetStorageImpl() ||
        w.storage_offset() != next)
      return {};
    rows += w.size(0);
    next += w.numel();
  }
  return first.as_strided({rows, first.size(1)}, {first.size(1), 1});
}

}  // namespace

// Columns of sites without a scale stay as they are.
at::Tensor SiteGroup::rescaled(const at::Tensor& y, const at::Tensor& bias,
                               const std::vector<std::optional<ColumnScale>>& scales) const {
  const auto some = std::find_if(scales.begin(), scales.end(), [](const auto& scale) { return scale.has_value(); });
  if (some == scales.end()) return y;
  std::vector<at::Tensor> magnitudes, norms;
  for (size_t i = 0; i < scales.size(); ++i) {
    const auto one = scales[i] ? at::Tensor() : at::ones({m_outs[i]}, (*some)->norm.options());
    magnitudes.push_back(scales[i] ? scales[i]->magnitude : one);
    norms.push_back(scales[i] ? scales[i]->norm : one);
  }
  return kernels::rescaleColumns(y, bias, at::cat(magnitudes), at::cat(norms));
}

void SiteGroup::rebind() {
  m_outs.clear();
  bool anyBias = false;
  m_biasTrains = false;
  for (const auto* site : m_sites) {
    m_outs.push_back(site->outFeatures);
    anyBias |= site->bias.defined();
    m_biasTrains |= site->bias.defined() && site->bias.requires_grad();
  }
  m_weight = m_bias = at::Tensor();
  m_coded.clear();
  for (const auto* site : m_sites)
    if (site->coded.defined()) m_coded.push_back(site->coded);
  if (m_coded.empty()) m_weight = stackedView(m_sites);
  m_together = m_weight.defined() || m_coded.size() == m_sites.size();
  if (!m_together || !anyBias) return;
  m_together = std::all_of(m_sites.begin(), m_sites.end(), [](auto* s) { return s->bias.defined(); });
  if (m_together && !m_biasTrains) {
    std::vector<at::Tensor> parts;
    for (const auto* site : m_sites) parts.push_back(site->bias);
    m_bias = at::cat(parts);
  }
}

at::Tensor SiteGroup::forward(const at::Tensor& x, ForwardContext& context) const {
  std::vector<at::Tensor> a(m_sites.size()), b(m_sites.size());
  std::vector<double> scalings(m_sites.size(), 0.0);
  std::vector<std::optional<ColumnScale>> scales(m_sites.size());
  bool together = m_together;
  for (size_t i = 0; together && i < m_sites.size(); ++i) {
    if (!m_sites[i]->adapter) continue;
    const auto term = m_sites[i]->adapter->lowRankTerm();
    together = term.has_value() && (term->dropout <= 0 || !context.training);
    if (!together) break;
    a[i] = term->a;
    b[i] = term->b;
    scalings[i] = term->scaling;
    scales[i] = m_sites[i]->adapter->columnScale();
  }
  if (together) {
    auto bias = m_bias;
    if (m_biasTrains) {
      std::vector<at::Tensor> parts;
      for (const auto* site : m_sites) parts.push_back(site->bias);
      bias = at::cat(parts);
    }
    const auto y = m_coded.empty() ? kernels::loraLinearGroup(x, m_weight, bias, m_outs, a, b, scalings)
                                   : kernels::fourBitLoraLinearGroup(x, m_coded, bias, a, b, scalings);
    return rescaled(y, bias, scales);
  }
  std::vector<at::Tensor> parts;
  for (const auto* site : m_sites) parts.push_back(site->forward(x, context));
  return at::cat(parts, -1);
}

}  // namespace rankscope

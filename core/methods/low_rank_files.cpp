// PEFT's files of a low-rank method: what they say and hold, and reading them back.
#include <algorithm>
#include <set>

#include "core/methods/low_rank.h"
#include "core/methods/peft_format.h"
#include "core/methods/trained_parameters.h"

namespace rankscope {

nlohmann::json LowRankMethod::adapterConfig(const Model& model, const std::string& basePath) const {
  PeftConfigInput input{m_settings, model, basePath};
  input.rootScaling = m_parts.names.scaling == "root_rank";
  // An update that left the base weight is the difference of two rank-r products: twice the rank (and alpha, by which
  // the scaling stays what it was) against the original weight.
  input.rankFactor = m_parts.start->changesBase() ? 2 : 1;
  const auto isConvolution = [](const AdaptedSite& each) { return each.site->operation == SiteOperation::Convolution; };
  if (std::any_of(m_sites.begin(), m_sites.end(), isConvolution))
    for (const AdaptedSite& adapted : m_sites) input.convolutions.push_back(adapted.site->name);
  nlohmann::json config = peftConfig(input);
  m_parts.form->describe(config);
  m_parts.rule->describe(config);
  return config;
}

std::map<std::string, at::Tensor> LowRankMethod::adapterTensors() const {
  const at::NoGradGuard noGrad;
  std::map<std::string, at::Tensor> out;
  for (size_t i = 0; i < m_sites.size(); ++i) {
    const AdaptedSite& adapted = m_sites[i];
    const LinearSite& site = *adapted.site;
    at::Tensor a = adapted.a.detach(), b = adapted.b.detach(), extra = adapted.extra;
    if (adapted.startA.defined()) {
      a = at::cat({a, adapted.startA}, 0);
      b = at::cat({b, -adapted.startB}, 1).contiguous();
    }
    if (const at::Tensor kept = m_parts.rule->kept(i); kept.defined()) {
      const at::Tensor ranks = kept.nonzero().view(-1);
      a = a.index_select(0, ranks);
      b = b.index_select(1, ranks);
      extra = extra.index_select(0, ranks);
    }
    out[kPeftPrefix + m_parts.form->nameInFile(adapted.nameA())] = factorInFile(site, 'A', a);
    out[kPeftPrefix + m_parts.form->nameInFile(adapted.nameB())] = factorInFile(site, 'B', b);
    if (extra.defined()) out[kPeftPrefix + extraName(adapted)] = magnitudeInFile(site, extra.detach());
  }
  for (const OptimizedParameter& p : m_whole) {
    std::string name = p.name;
    if (isAdaptedBias(name))
      name.insert(name.rfind('.'), ".base_layer");  // where PEFT keeps an adapted module's own bias
    out[kPeftPrefix + name] = p.tensor.detach();
  }
  return out;
}

// Factors of rank 2r carry their start in the second half; those of rank r began at the start that is there already, where
// it follows from the base weight.
Result<void> LowRankMethod::splitStart(AdaptedSite& adapted, std::map<std::string, at::Tensor>& byName,
                                       std::vector<OptimizedParameter>& targets) const {
  const int64_t r = adapted.rank;
  const auto a = byName.find(adapted.nameA()), b = byName.find(adapted.nameB());
  if (a == byName.end() || b == byName.end()) return {};  // reported by copyInto
  if (m_parts.start->followsFromWeight() && a->second.dim() == 2 && a->second.size(0) == r) return {};
  targets.push_back({adapted.startNameA(), adapted.startA});
  targets.push_back({adapted.startNameB(), adapted.startB});
  if (a->second.dim() != 2 || b->second.dim() != 2 || a->second.size(0) != 2 * r || b->second.size(1) != 2 * r)
    return Error{ErrorCode::BadInput,
                 "The adapter does not carry its start",
                 adapted.site->name,
                 fmt::format("rank {}", a->second.dim() == 2 ? a->second.size(0) : 0),
                 fmt::format("rank {}", 2 * r),
                 "Load it as a LoRA adapter, or give one that this method saved with warm-up 0."};
  byName[adapted.startNameA()] = a->second.slice(0, r, 2 * r);
  byName[adapted.startNameB()] = -b->second.slice(1, r, 2 * r);
  a->second = a->second.slice(0, 0, r);
  b->second = b->second.slice(1, 0, r);
  return {};
}

// A file may leave out what was pruned: the ranks that it has come first, the others keep their drawn factors and add
// nothing, their extra entry being 0.
void LowRankMethod::padPruned(size_t index, std::map<std::string, at::Tensor>& byName) {
  const AdaptedSite& adapted = m_sites[index];
  const auto a = byName.find(adapted.nameA()), b = byName.find(adapted.nameB()), extra = byName.find(extraName(adapted));
  if (a == byName.end() || b == byName.end() || extra == byName.end()) return;  // reported by copyInto
  if (a->second.dim() != 2 || b->second.dim() != 2 || extra->second.dim() != 2) return;
  const int64_t ranks = a->second.size(0);
  if (ranks >= adapted.rank || b->second.size(1) != ranks || extra->second.size(0) != ranks ||
      a->second.size(1) != adapted.a.size(1) || b->second.size(0) != adapted.b.size(0))
    return;
  const at::NoGradGuard noGrad;
  at::Tensor wholeA = adapted.a.detach().clone(), wholeB = adapted.b.detach().clone();
  at::Tensor wholeExtra = at::zeros_like(adapted.extra.detach());
  wholeA.narrow(0, 0, ranks).copy_(a->second);
  wholeB.narrow(1, 0, ranks).copy_(b->second);
  wholeExtra.narrow(0, 0, ranks).copy_(extra->second);
  a->second = wholeA;
  b->second = wholeB;
  extra->second = wholeExtra;
  m_parts.rule->pruned(index, ranks);
}

Result<void> LowRankMethod::loadAdapterTensors(const std::map<std::string, at::Tensor>& tensors) {
  std::map<std::string, at::Tensor> byName;
  for (const auto& [name, tensor] : tensors) {
    const std::string plain = plainPeftName(name);
    byName[plain] = matrixFromFile(plain, tensor);
  }

  std::vector<OptimizedParameter> targets = m_whole;
  for (const AdaptedSite& adapted : m_sites) {
    targets.push_back({adapted.nameA(), adapted.a});
    targets.push_back({adapted.nameB(), adapted.b});
    if (adapted.extra.defined()) targets.push_back({extraName(adapted), adapted.extra});
  }
  std::set<std::string> known;
  for (const OptimizedParameter& target : targets) known.insert(target.name);
  for (const auto& [name, tensor] : tensors)
    if (!known.count(plainPeftName(name)))
      return Error{ErrorCode::BadInput,
                   "The adapter holds a tensor that has no place here",
                   name,
                   "an unknown tensor",
                   "lora_A, lora_B, trained biases and saved modules of the adapted sites",
                   "Check that the adapter was made for this model and by LoRA or one of its relatives here."};
  if (m_parts.form->prunes())
    for (size_t i = 0; i < m_sites.size(); ++i) padPruned(i, byName);
  for (AdaptedSite& adapted : m_sites)
    if (adapted.startA.defined())
      if (auto split = splitStart(adapted, byName, targets); !split) return split.error();
  if (auto ok = copyInto(targets, byName); !ok) return ok.error();
  rebindBase();
  return {};
}

}  // namespace rankscope

#pragma once
// A low-rank method, composed of a site form, a start and a training rule (low_rank_parts.h). Here is what all of them
// share: choosing sites, what trains beside the factors, files, checkpoints, merging. The method owns the factors; the
// adapters on the sites share their tensors. Training thread only.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/methods/base_format.h"
#include "core/methods/low_rank_parts.h"

namespace rankscope {

class LowRankMethod final : public Method {
 public:
  explicit LowRankMethod(MethodSettings settings) : m_settings(std::move(settings)) {}

  const MethodSettings& settings() const override { return m_settings; }
  std::set<std::string> leftInFile(const std::vector<SiteShape>& sites) const override;
  void supportStart(StartSupport support) override { m_support = std::move(support); }
  Result<void> attach(Model& model) override;
  Result<std::vector<std::string>> wholeParameters(const Model& model) const override;
  std::vector<OptimizedParameter> trainable() const override;
  at::Tensor lossTerm() const override { return m_parts.rule->lossTerm(); }
  void onStart(Optimizer& optimizer) override { m_parts.rule->onStart(optimizer); }
  void beforeClipping(const StepInfo& info) override { m_parts.rule->beforeClipping(info); }
  void beforeStep(const StepInfo& info, Optimizer& optimizer) override { m_parts.rule->beforeStep(info, optimizer); }
  void afterStep(const StepInfo& info, Optimizer& optimizer) override { m_parts.rule->afterStep(info, optimizer); }
  std::map<std::string, at::Tensor> state() const override;
  Result<void> loadState(const std::map<std::string, at::Tensor>& state) override;
  std::vector<FactorPair> factorPairs() const override;
  std::vector<const LinearSite*> changedSites() const override;
  at::Tensor originalWeight(const LinearSite& site) const override;
  nlohmann::json adapterConfig(const Model& model, const std::string& basePath) const override;
  std::map<std::string, at::Tensor> adapterTensors() const override;
  Result<void> loadAdapterTensors(const std::map<std::string, at::Tensor>& tensors) override;
  Result<void> merge(Model& model) override;

 private:
  Result<void> checkSettings() const;
  Result<AdaptedSite> makeSite(const Model& model, LinearSite& site) const;
  bool seeksStart() const { return !(m_settings.stateFollows && m_parts.start->takesLong()); }
  Result<void> drawStarts(const std::vector<std::string>& whole);
  void drawStart(AdaptedSite& adapted);
  void takeStartOut(AdaptedSite& adapted);
  void codeBase(const std::vector<std::string>& whole);
  void rebindBase();
  bool isAdaptedBias(const std::string& parameter) const;
  std::string extraName(const AdaptedSite& adapted) const;
  std::vector<OptimizedParameter> stateTensors() const;
  Result<void> splitStart(AdaptedSite& adapted, std::map<std::string, at::Tensor>& byName,
                          std::vector<OptimizedParameter>& targets) const;
  void padPruned(size_t index, std::map<std::string, at::Tensor>& byName);

  MethodSettings m_settings;
  StartSupport m_support;    // until attach() is done
  LowRankParts m_parts;      // from attach() on
  BaseFormat m_base;         // likewise
  Model* m_model = nullptr;  // attached to; outlives the method's use
  std::vector<AdaptedSite> m_sites;
  std::vector<OptimizedParameter> m_whole;  // head, saved modules, biases
};

std::unique_ptr<Method> makeLowRank(MethodSettings settings);

}  // namespace rankscope

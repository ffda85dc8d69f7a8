#pragma once
// What every method of the form ΔW = s B A shares: sites, start, files, merging. A variant gives the scaling and, by
// the virtual hooks of Method, what happens around the optimizer's step. The method owns the factors; the adapters on
// the sites share their tensors. Training thread only.

#include <memory>
#include <vector>

#include "core/methods/method.h"

namespace rankscope {

enum class LowRankScaling {
  ByRank,     // α/r
  ByRootRank  // α/√r
};
double lowRankScaling(LowRankScaling kind, int64_t rank, double alpha);

class LowRankMethod : public Method {
 public:
  LowRankMethod(MethodSettings settings, LowRankScaling scaling)
      : m_settings(std::move(settings)), m_scaling(scaling) {}

  const MethodSettings& settings() const override { return m_settings; }
  Result<void> attach(Model& model) override;
  std::vector<OptimizedParameter> trainable() const override;
  std::map<std::string, at::Tensor> state() const override;
  Result<void> loadState(const std::map<std::string, at::Tensor>& state) override;
  std::vector<FactorPair> factorPairs() const override;
  std::vector<const LinearSite*> changedSites() const override;
  at::Tensor originalWeight(const LinearSite& site) const override;
  nlohmann::json adapterConfig(const Model& model, const std::string& basePath) const override;
  std::map<std::string, at::Tensor> adapterTensors() const override;
  Result<void> loadAdapterTensors(const std::map<std::string, at::Tensor>& tensors) override;
  Result<void> merge(Model& model) override;

 protected:
  struct AdaptedSite {
    LinearSite* site = nullptr;
    int64_t rank = 0;
    double alpha = 0;
    double scaling = 1;
    at::Tensor a, b;            // [r, in], [out, r], the leaves that train
    at::Tensor startA, startB;  // with redrawsStart(): what was taken out of the weight
    at::Tensor originalWeight;  // with redrawsStart(): W0
  };

  std::vector<AdaptedSite>& adaptedSites() { return m_sites; }
  // Both factors start random and s B A is taken out of the weight, so that the function at step 0 is the base model's.
  virtual bool redrawsStart() const { return false; }
  // The method's own options, checked before anything is touched.
  virtual Result<void> checkOptions() const { return {}; }
  // A non-negative whole number of settings().options.
  Result<int64_t> countOption(const char* key, int64_t standard, int64_t low) const;

 private:
  Result<void> checkSettings() const;
  Result<std::vector<std::string>> wholeParameters(const Model& model) const;
  void draw(AdaptedSite& adapted) const;
  void takeStartOut(Model& model, AdaptedSite& adapted) const;
  bool isAdaptedBias(const std::string& parameter) const;

  MethodSettings m_settings;
  LowRankScaling m_scaling;
  Model* m_model = nullptr;  // attached to; outlives the method's use
  std::vector<AdaptedSite> m_sites;
  std::vector<OptimizedParameter> m_whole;  // head, saved modules, biases
};

}  // namespace rankscope

#include "core/methods/starts/lora_ga.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <map>

#include "core/methods/mean_gradient.h"
#include "core/methods/method_options.h"

namespace rankscope {

LoraGaFactors loraGaFactors(const Triplets& gradient, int64_t rank, double scaling, const at::Tensor& weightSigma,
                            const LoraGaForm& form) {
  // Which of the 2r triplets each factor takes.
  at::Tensor forA = at::arange(rank, at::kLong), forB = forA + rank;
  if (form.direction == "A2rBr") std::swap(forA, forB);
  if (form.direction == "ArBr") {
    forB = 2 * at::arange(rank, at::kLong);
    forA = forB + 1;
  }
  LoraGaFactors factors{gradient.vh.index_select(0, forA), gradient.u.index_select(1, forB)};
  const at::Tensor sigma = gradient.sigma.index_select(0, forB);
  if (form.peft) factors.b = factors.b * sigma;

  double scaleA = 1, scaleB = 1;
  if (form.scale == "stable") {
    scaleB = std::pow(static_cast<double>(gradient.u.size(0)), 0.25) / std::sqrt(form.gamma);
    scaleA = form.peft ? 1 : scaleB;
  } else if (form.scale == "gd") {
    scaleA = scaleB = 1 / scaling;
  } else if (form.scale == "weightS" && form.peft) {
    const double largest = sigma[0].item<double>();
    scaleB = largest > 0 ? weightSigma[0].item<double>() / largest : 1;
  } else if (form.scale == "weightS") {
    scaleA = scaleB = (weightSigma / scaling).sqrt().mean().item<double>();
  }
  factors.a.mul_(scaleA);
  factors.b.mul_(scaleB);
  return factors;
}

namespace {

class LoraGaStart final : public LowRankStart {
 public:
  LoraGaStart(LoraGaForm form, int64_t iterations) : m_form(std::move(form)), m_iterations(iterations) {}

  bool changesBase() const override { return true; }
  bool takesLong() const override { return true; }
  bool needsGradients() const override { return true; }
  Sought soughtAt(int64_t outFeatures, int64_t inFeatures) const override {
    return {outFeatures * inFeatures, decompositionWork(outFeatures, inFeatures)};
  }
  Result<void> check(const AdaptedSite& adapted) const override { return checkTriplets(adapted, 2 * adapted.rank); }

  Result<void> prepare(Model& model, const std::vector<AdaptedSite>& sites, uint64_t seed,
                       const StartSupport& support) override {
    m_cache = support.cache;
    const std::string key = keyOf(model, sites, seed, support);
    if (readKept(key, sites)) return {};
    std::vector<LinearSite*> places;
    for (const AdaptedSite& adapted : sites) places.push_back(adapted.site);
    auto gradients = meanGradients(model, places, support);
    if (!gradients) return gradients.error();
    NamedTensors kept;
    for (size_t i = 0; i < sites.size(); ++i) {
      const double share = static_cast<double>(i) / static_cast<double>(sites.size());
      if (support.progress && !support.progress("singular vectors of the gradients", share)) return startInterrupted();
      const std::string& name = sites[i].site->name;
      const Triplets found =
          leadingTriplets((*gradients)[i], 2 * sites[i].rank, m_iterations, seed, name + ".lora_ga_sketch");
      (*gradients)[i] = at::Tensor();
      kept.insert(kept.end(), {{name + kU, found.u}, {name + kSigma, found.sigma}, {name + kVh, found.vh}});
      m_triplets[name] = found;
    }
    m_cache.store(key, kept);
    return {};
  }

  void draw(AdaptedSite& adapted, uint64_t seed) const override {
    const at::NoGradGuard noGrad;
    const std::string& name = adapted.site->name;
    at::Tensor weightSigma;
    if (m_form.scale == "weightS")
      weightSigma = cachedTriplets(m_cache, adapted.baseWeight().to(adapted.a.scalar_type()), adapted.rank, m_iterations,
                                   seed, name + ".pissa_sketch")
                        .sigma;
    const LoraGaFactors factors =
        loraGaFactors(m_triplets.at(name), adapted.rank, adapted.scaling, weightSigma, m_form);
    adapted.a.copy_(factors.a);
    adapted.b.copy_(factors.b);
  }

  void forget() override { m_triplets.clear(); }

 private:
  static constexpr const char *kU = ".u", *kSigma = ".sigma", *kVh = ".vh";

  // All that the gradients depend on: weights, batches, precision, and how sums are shared among threads.
  std::string keyOf(const Model& model, const std::vector<AdaptedSite>& sites, uint64_t seed,
                    const StartSupport& support) const {
    Sha256 hash;
    hash.updateField(fmt::format("lora_ga 1: {} rounds, seed {}, {}, {} threads", m_iterations, m_iterations > 0 ? seed : 0,
                                 c10::toString(model.computeDtype()), at::get_num_threads()));
    hash.updateField(model.config().dump());
    for (const ParameterTable* table : {&model.parameters(), &model.buffers()})
      for (const NamedTensor& entry : table->entries()) {
        hash.updateField(entry.name);
        updateTensor(hash, entry.tensor);
      }
    for (const LinearSite* site : model.sites())
      if (site->coded.defined()) updateTensor(hash, site->denseWeight());
    for (const AdaptedSite& adapted : sites) hash.updateField(fmt::format("{} {}", adapted.site->name, adapted.rank));
    for (int64_t i = 0; i < support.batches; ++i) {
      const PackedBatch batch = support.batch(i);
      for (const at::Tensor* part : {&batch.inputIds, &batch.positionIds, &batch.tokenTypeIds, &batch.pixels, &batch.labels})
        if (part->defined()) updateTensor(hash, *part);
      for (const int64_t start : batch.starts) hash.updateField(std::to_string(start));
    }
    return hash.hex();
  }

  bool readKept(const std::string& key, const std::vector<AdaptedSite>& sites) {
    const auto kept = m_cache.load(key);
    if (!kept) return false;
    for (const AdaptedSite& adapted : sites) {
      const std::string& name = adapted.site->name;
      const auto u = kept->find(name + kU), sigma = kept->find(name + kSigma), vh = kept->find(name + kVh);
      if (u == kept->end() || sigma == kept->end() || vh == kept->end()) return false;
      m_triplets[name] = {u->second, sigma->second, vh->second};
    }
    return true;
  }

  LoraGaForm m_form;
  int64_t m_iterations;
  TensorCache m_cache;
  std::map<std::string, Triplets> m_triplets;  // by site, from prepare() on
};

}  // namespace

Result<std::unique_ptr<LowRankStart>> makeLoraGaStart(const MethodSettings& settings) {
  LoraGaForm form;
  auto direction = choiceOption(settings, "start_direction", form.direction, {"ArB2r", "A2rBr", "ArBr"});
  auto scale = choiceOption(settings, "start_scale", form.scale, {"stable", "unit", "gd", "weightS"});
  auto variant = choiceOption(settings, "start_variant", "official", {"official", "peft"});
  for (const auto* chosen : {&direction, &scale, &variant})
    if (!*chosen) return chosen->error();
  auto gamma = realOption(settings, "start_gamma", form.gamma, 1e-6, 1e9);
  if (!gamma) return gamma.error();
  auto iterations = countOption(settings, "svd_iterations", 0, 0);
  if (!iterations) return iterations.error();
  form = {*direction, *scale, *gamma, *variant == "peft"};
  return newPart<LowRankStart, LoraGaStart>(std::move(form), *iterations);
}

}  // namespace rankscope

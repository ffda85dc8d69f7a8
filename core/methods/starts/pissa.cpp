#include "core/methods/starts/pissa.h"

#include "core/methods/method_options.h"
#include "core/methods/singular_triplets.h"

namespace rankscope {

namespace {

class PissaStart final : public LowRankStart {
 public:
  explicit PissaStart(int64_t iterations) : m_iterations(iterations) {}

  bool changesBase() const override { return true; }
  bool followsFromWeight() const override { return true; }

  bool takesLong() const override { return true; }
  Sought soughtAt(int64_t outFeatures, int64_t inFeatures) const override {
    return {0, decompositionWork(outFeatures, inFeatures)};
  }
  Result<void> check(const AdaptedSite& adapted) const override { return checkTriplets(adapted, adapted.rank); }
  Result<void> prepare(Model&, const std::vector<AdaptedSite>&, uint64_t, const StartSupport& support) override {
    m_cache = support.cache;
    return {};
  }

  void draw(AdaptedSite& adapted, uint64_t seed) const override {
    const at::NoGradGuard noGrad;
    const at::Tensor weight = adapted.baseWeight().to(adapted.a.scalar_type());
    const Triplets svd =
        cachedTriplets(m_cache, weight, adapted.rank, m_iterations, seed, adapted.site->name + ".pissa_sketch");
    const at::Tensor root = (svd.sigma / adapted.scaling).sqrt_();
    adapted.a.copy_(svd.vh * root.unsqueeze(1));
    adapted.b.copy_(svd.u * root);
  }

 private:
  int64_t m_iterations;
  TensorCache m_cache;
};

}  // namespace

Result<std::unique_ptr<LowRankStart>> makePissaStart(const MethodSettings& settings) {
  auto iterations = countOption(settings, "svd_iterations", 0, 0);
  if (!iterations) return iterations.error();
  return newPart<LowRankStart, PissaStart>(*iterations);
}

}  // namespace rankscope

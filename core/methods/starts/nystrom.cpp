#include "core/methods/starts/nystrom.h"

#include "core/methods/seeded_start.h"

namespace rankscope {

namespace {

class NystromStart final : public LowRankStart {
 public:
  bool takesLong() const override { return true; }

  void draw(AdaptedSite& adapted, uint64_t seed) const override {
    constexpr double kDeviation = 0.02;
    const at::NoGradGuard noGrad;
    const at::Tensor weight = adapted.site->denseWeight().to(adapted.a.scalar_type());
    at::Tensor sketch = at::empty({adapted.rank, weight.size(0)}, weight.options());
    fillNormal(sketch, 1.0, seed, adapted.site->name + ".sketch");
    adapted.a.copy_(sketch.mm(weight).mul_(kDeviation / adapted.scaling));
    adapted.b.zero_();
  }
};

}  // namespace

Result<std::unique_ptr<LowRankStart>> makeNystromStart(const MethodSettings&) {
  return newPart<LowRankStart, NystromStart>();
}

}  // namespace rankscope

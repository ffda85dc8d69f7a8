#include "core/methods/starts/random.h"

#include "core/methods/seeded_start.h"

namespace rankscope {

namespace {

// PEFT's at an embedding, whichever start is chosen: A = 0 and B ~ N(0, 1), so that only rows that are looked up move.
bool drewEmbedding(AdaptedSite& adapted, uint64_t seed) {
  if (adapted.site->operation != SiteOperation::Embedding) return false;
  adapted.a.zero_();
  fillNormal(adapted.b, 1.0, seed, adapted.site->name + ".lora_B");
  return true;
}

class KaimingStart final : public LowRankStart {
 public:
  void draw(AdaptedSite& adapted, uint64_t seed) const override {
    if (drewEmbedding(adapted, seed)) return;
    fillKaimingUniform(adapted.a, seed, adapted.site->name + ".lora_A");
    adapted.b.zero_();
  }
};

class GaussianStart final : public LowRankStart {
 public:
  void draw(AdaptedSite& adapted, uint64_t seed) const override {
    if (drewEmbedding(adapted, seed)) return;
    fillNormal(adapted.a, 1.0 / static_cast<double>(adapted.rank), seed, adapted.site->name + ".lora_A");
    adapted.b.zero_();
  }
};

class RedrawStart final : public LowRankStart {
 public:
  bool changesBase() const override { return true; }
  void draw(AdaptedSite& adapted, uint64_t seed) const override {
    fillKaimingUniform(adapted.a, seed, adapted.site->name + ".lora_A");
    fillKaimingUniform(adapted.b, seed, adapted.site->name + ".lora_B");
  }
};

class NormalStart final : public LowRankStart {
 public:
  void draw(AdaptedSite& adapted, uint64_t seed) const override {
    constexpr double kDeviation = 0.02;
    fillNormal(adapted.a, kDeviation, seed, adapted.site->name + ".lora_A");
    fillNormal(adapted.b, kDeviation, seed, adapted.site->name + ".lora_B");
  }
};

}  // namespace

Result<std::unique_ptr<LowRankStart>> makeKaimingStart(const MethodSettings&) {
  return newPart<LowRankStart, KaimingStart>();
}
Result<std::unique_ptr<LowRankStart>> makeGaussianStart(const MethodSettings&) {
  return newPart<LowRankStart, GaussianStart>();
}
Result<std::unique_ptr<LowRankStart>> makeRedrawStart(const MethodSettings&) { return newPart<LowRankStart, RedrawStart>(); }
Result<std::unique_ptr<LowRankStart>> makeNormalStart(const MethodSettings&) {
  return newPart<LowRankStart, NormalStart>();
}

}  // namespace rankscope

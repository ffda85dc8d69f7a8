#include "core/methods/rules/reflora_s.h"

#include <cmath>

#include "core/methods/rules/warmup.h"

namespace rankscope {

namespace {

class RefLoraSRule final : public TrainingRule {
 public:
  explicit RefLoraSRule(const Warmup& warmup) : m_warmup(warmup) {}

  bool needsRandomB() const override { return m_warmup.steps == 0; }
  void onStart(Optimizer& optimizer) override { call(0, optimizer); }
  void afterStep(const StepInfo& info, Optimizer& optimizer) override { call(info.step + 1, optimizer); }

 private:
  // `number` 0 is the call at set-up, n the one after optimizer step n.
  void call(int64_t number, Optimizer& optimizer) {
    if (!m_warmup.actsAt(number)) return;
    const at::NoGradGuard noGrad;
    for (AdaptedSite& adapted : sites()) rescale(adapted, optimizer);
  }

  static void rescale(AdaptedSite& adapted, Optimizer& optimizer) {
    at::Tensor a = adapted.a.detach(), b = adapted.b.detach();
    const double normA = a.norm().item<double>(), normB = b.norm().item<double>();
    // A factor that is 0 (or overflowed) has no balanced form of the same product.
    if (!(normA > 0) || !(normB > 0) || !std::isfinite(normA) || !std::isfinite(normB)) return;
    const double s = normB / normA, root = std::sqrt(s);
    a.mul_(root);
    b.mul_(1 / root);
    const MomentView momentsA = optimizer.moments(adapted.a), momentsB = optimizer.moments(adapted.b);
    scale(momentsA.first, 1 / root);
    scale(momentsA.second, 1 / s);
    scale(momentsB.first, root);
    scale(momentsB.second, s);
  }

  static void scale(at::Tensor moment, double factor) {
    if (moment.defined()) moment.mul_(factor);
  }

  Warmup m_warmup;
};

}  // namespace

Result<std::unique_ptr<TrainingRule>> makeRefLoraSRule(const MethodSettings& settings) {
  auto warmup = Warmup::of(settings);
  if (!warmup) return warmup.error();
  return newPart<TrainingRule, RefLoraSRule>(*warmup);
}

}  // namespace rankscope

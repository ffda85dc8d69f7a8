#include "core/methods/rules/reflora_s.h"

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
    std::vector<at::Tensor> a, b;
    for (const AdaptedSite& adapted : sites()) {
      a.push_back(adapted.a.detach());
      b.push_back(adapted.b.detach());
    }
    // All shares at once and where the factors are: nothing is read back from a device. A factor that is 0 (or overflowed)
    // has no balanced form of the same product, and stays.
    const at::Tensor s = at::stack(at::_foreach_norm(b)).to(at::kDouble) / at::stack(at::_foreach_norm(a)).to(at::kDouble);
    const at::Tensor share = at::where(s.isfinite().logical_and(s > 0), s, at::ones_like(s)), root = share.sqrt();
    const std::vector<at::Tensor> up = root.unbind(), down = root.reciprocal().unbind(), more = share.unbind(),
                                  less = share.reciprocal().unbind();
    for (size_t i = 0; i < a.size(); ++i) {
      a[i].mul_(up[i]);
      b[i].mul_(down[i]);
      const MomentView momentsA = optimizer.moments(sites()[i].a), momentsB = optimizer.moments(sites()[i].b);
      scale(momentsA.first, down[i]);
      scale(momentsA.second, less[i]);
      scale(momentsB.first, up[i]);
      scale(momentsB.second, more[i]);
    }
  }

  static void scale(at::Tensor moment, const at::Tensor& factor) {
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

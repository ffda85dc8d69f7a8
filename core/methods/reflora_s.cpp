#include "core/methods/reflora_s.h"

#include <cmath>

#include "core/methods/low_rank.h"

namespace rankscope {

namespace {

constexpr int64_t kDefaultWarmup = 100;

class RefLoraS final : public LowRankMethod {
 public:
  explicit RefLoraS(MethodSettings settings) : LowRankMethod(std::move(settings), LowRankScaling::ByRank) {}

  void onStart(Optimizer& optimizer) override { call(0, optimizer); }
  void afterStep(const StepInfo& info, Optimizer& optimizer) override { call(info.step + 1, optimizer); }

 protected:
  bool redrawsStart() const override { return warmup() == 0; }

  Result<void> checkOptions() const override {
    if (auto w = countOption("warmup_steps", kDefaultWarmup, 0); !w) return w.error();
    if (auto k = countOption("interval", 1, 1); !k) return k.error();
    return {};
  }

 private:
  int64_t warmup() const {
    auto w = countOption("warmup_steps", kDefaultWarmup, 0);
    return w ? *w : kDefaultWarmup;
  }
  int64_t interval() const {
    auto k = countOption("interval", 1, 1);
    return k ? *k : 1;
  }

  // `number` 0 is the call at set-up, n the one after optimizer step n.
  void call(int64_t number, Optimizer& optimizer) {
    const int64_t sinceWarmup = number - warmup();
    if (sinceWarmup < 0 || sinceWarmup % interval() != 0) return;
    const at::NoGradGuard noGrad;
    for (AdaptedSite& adapted : adaptedSites()) rescale(adapted, optimizer);
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
};

}  // namespace

std::unique_ptr<Method> makeRefLoraS(MethodSettings settings) {
  return std::make_unique<RefLoraS>(std::move(settings));
}

}  // namespace rankscope

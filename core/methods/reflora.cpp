#include "core/methods/reflora.h"

#include <limits>

#include "core/methods/low_rank.h"
#include "kernels/reflora_ops.h"

namespace rankscope {

namespace {

constexpr int64_t kDefaultWarmup = 100;

class RefLora final : public LowRankMethod {
 public:
  explicit RefLora(MethodSettings settings) : LowRankMethod(std::move(settings), LowRankScaling::ByRank) {}

  void beforeStep(const StepInfo& info, Optimizer&) override {
    const int64_t sinceWarmup = info.step - warmup();
    if (sinceWarmup < 0 || sinceWarmup % interval() != 0) return;
    std::vector<at::Tensor> a, b, gradA, gradB;
    for (const AdaptedSite& adapted : adaptedSites()) {
      if (!adapted.a.grad().defined() || !adapted.b.grad().defined()) continue;
      a.push_back(adapted.a);
      b.push_back(adapted.b);
      gradA.push_back(adapted.a.grad());
      gradB.push_back(adapted.b.grad());
    }
    if (!a.empty()) kernels::refloraPrecondition(a, b, gradA, gradB, refloraEpsilon(a.front().scalar_type()));
  }

 protected:
  bool redrawsStart() const override { return warmup() == 0; }

  Result<void> checkOptions() const override {
    if (auto w = countOption("warmup_steps", kDefaultWarmup, 0); !w) return w.error();
    if (auto k = countOption("interval", 1, 1); !k) return k.error();
    return {};
  }

 private:
  // Checked in attach().
  int64_t warmup() const {
    auto w = countOption("warmup_steps", kDefaultWarmup, 0);
    return w ? *w : kDefaultWarmup;
  }
  int64_t interval() const {
    auto k = countOption("interval", 1, 1);
    return k ? *k : 1;
  }
};

}  // namespace

std::unique_ptr<Method> makeRefLora(MethodSettings settings) { return std::make_unique<RefLora>(std::move(settings)); }

double refloraEpsilon(at::ScalarType dtype) {
  return dtype == at::kDouble ? std::numeric_limits<double>::epsilon()
                              : static_cast<double>(std::numeric_limits<float>::epsilon());
}

std::pair<at::Tensor, at::Tensor> refloraRefactor(const at::Tensor& a, const at::Tensor& b) {
  const at::NoGradGuard noGrad;
  const at::Tensor a64 = a.detach().to(at::kDouble), b64 = b.detach().to(at::kDouble);
  const auto metric = kernels::refloraMetric({a64}, {b64}, refloraEpsilon(a.scalar_type()));
  // P is unique up to an orthogonal factor; the symmetric root of S is one choice, and P⁻ᵀ = S⁻¹ P.
  const auto [lambda, v] = at::linalg_eigh(metric.s.front());
  const at::Tensor p = (v * lambda.clamp_min(0).sqrt()).mm(v.t());
  return {p.t().mm(a64).to(a.scalar_type()), b64.mm(metric.sInverse.front().mm(p)).to(b.scalar_type())};
}

}  // namespace rankscope

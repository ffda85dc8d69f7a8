#include "core/methods/rules/lora_pro.h"

#include <cmath>

#include "core/methods/method_options.h"
#include "core/methods/rules/pair_algebra.h"

namespace rankscope {

namespace {

constexpr double kDamping = 1e-8;

struct LoraProOptions {
  bool countsAhead = false;
  bool roundsSecondMoment = false;
};

class LoraProRule final : public TrainingRule {
 public:
  explicit LoraProRule(const LoraProOptions& options) : m_options(options) {}

  bool movesFactors() const override { return true; }

  void beforeStep(const StepInfo& info, Optimizer& optimizer) override {
    const at::NoGradGuard noGrad;
    const auto t = static_cast<double>(info.step + 1);
    std::vector<Pair> pairs;
    for (size_t i = 0; i < sites().size(); ++i) {
      AdaptedSite& adapted = sites()[i];
      if (adapted.a.grad().defined() && adapted.b.grad().defined())
        pairs.push_back({i, gramOfA(adapted.a), gramOfB(adapted.b), {}, {}, {}, {}});
    }
    invert(pairs);
    std::vector<at::Tensor> p, q, inverses, reached;
    for (Pair& pair : pairs) {
      const AdaptedSite& adapted = sites()[pair.site];
      const at::Tensor direction = adamDirection(pair, optimizer.settings(), t);
      // The step of W, seen from the factors: hA = s Bᵀ ĝ, hB = s ĝ Aᵀ.
      pair.hA = adapted.b.t().mm(direction).mul_(adapted.scaling);
      pair.hB = direction.mm(adapted.a.t()).mul_(adapted.scaling);
      const double s2 = adapted.scaling * adapted.scaling;
      p.push_back(pair.gramB);
      q.push_back(pair.gramA);
      inverses.push_back(pair.inverseB);
      reached.push_back(pair.hA.mm(adapted.a.t()).to(at::kDouble).div_(-s2));
    }
    const auto x = solveSylvester(p, q, products(inverses, reached));
    for (size_t k = 0; k < pairs.size(); ++k) move(pairs[k], x[k], info.learningRate);
  }

  std::vector<OptimizedParameter> state() const override {
    std::vector<OptimizedParameter> out;
    for (size_t i = 0; i < m_first.size(); ++i) {
      out.push_back({sites()[i].site->name + ".exp_avg", m_first[i]});
      out.push_back({sites()[i].site->name + ".exp_avg_sq", m_second[i]});
    }
    return out;
  }

  int64_t stateAt(int64_t outFeatures, int64_t inFeatures, int64_t) const override { return 2 * outFeatures * inFeatures; }

 protected:
  void bound() override {
    m_first.clear();
    m_second.clear();
    for (const AdaptedSite& adapted : sites()) {
      m_first.push_back(at::zeros({adapted.b.size(0), adapted.a.size(1)}, adapted.a.options().requires_grad(false)));
      m_second.push_back(at::zeros_like(m_first.back()));
    }
  }

 private:
  struct Pair {
    size_t site;
    at::Tensor gramA, gramB;        // A Aᵀ, Bᵀ B
    at::Tensor inverseA, inverseB;  // damped
    at::Tensor hA, hB;
  };

  static void invert(std::vector<Pair>& pairs) {
    std::vector<at::Tensor> gramsA, gramsB;
    for (const Pair& pair : pairs) {
      gramsA.push_back(pair.gramA);
      gramsB.push_back(pair.gramB);
    }
    const auto ofA = dampedInverses(gramsA, kDamping), ofB = dampedInverses(gramsB, kDamping);
    for (size_t k = 0; k < pairs.size(); ++k) {
      pairs[k].inverseA = ofA[k];
      pairs[k].inverseB = ofB[k];
    }
  }

  // Π h with Π = I − B (BᵀB + δI)⁻¹ Bᵀ: what B's columns do not reach.
  static at::Tensor outside(const AdaptedSite& adapted, const Pair& pair, const at::Tensor& h) {
    return h - adapted.b.mm(leftTimes(pair.inverseB, adapted.b.t().mm(h)));
  }

  at::Tensor adamDirection(const Pair& pair, const OptimizerSettings& settings, double t) {
    const AdaptedSite& adapted = sites()[pair.site];
    const double s = adapted.scaling;
    const at::Tensor gA = leftTimes(pair.inverseB, adapted.a.grad()).div_(s * s);
    const at::Tensor gB = timesRight(outside(adapted, pair, adapted.b.grad()), pair.inverseA).div_(s * s);
    at::Tensor g = adapted.b.mm(gA);
    g.addmm_(gB, adapted.a).mul_(s);
    at::Tensor &first = m_first[pair.site], &second = m_second[pair.site];
    first.lerp_(g, 1 - settings.beta1);
    if (m_options.roundsSecondMoment && t > 1) g = g.to(at::kBFloat16).to(g.scalar_type());
    second.mul_(settings.beta2).addcmul_(g, g, 1 - settings.beta2);
    const double e = m_options.countsAhead ? t + 1 : t;
    const at::Tensor root = second.sqrt().div_(std::sqrt(1 - std::pow(settings.beta2, e))).add_(settings.eps);
    return first.div(root).div_(1 - std::pow(settings.beta1, e));
  }

  void move(const Pair& pair, const at::Tensor& x, double learningRate) {
    AdaptedSite& adapted = sites()[pair.site];
    const double s2 = adapted.scaling * adapted.scaling;
    const at::Tensor stepA = leftTimes(pair.inverseB, pair.hA).div_(s2).add_(leftTimes(x, adapted.a));
    const at::Tensor stepB =
        timesRight(outside(adapted, pair, pair.hB), pair.inverseA).div_(s2).sub_(timesRight(adapted.b, x));
    adapted.a.sub_(stepA, learningRate);
    adapted.b.sub_(stepB, learningRate);
    adapted.a.mutable_grad() = at::Tensor();
    adapted.b.mutable_grad() = at::Tensor();
  }

  LoraProOptions m_options;
  std::vector<at::Tensor> m_first, m_second;  // [out, in]
};

}  // namespace

Result<std::unique_ptr<TrainingRule>> makeLoraProRule(const MethodSettings& settings) {
  LoraProOptions options;
  auto ahead = flagOption(settings, "counts_ahead", false);
  if (!ahead) return ahead.error();
  options.countsAhead = *ahead;
  auto rounds = flagOption(settings, "bf16_second_moment", false);
  if (!rounds) return rounds.error();
  options.roundsSecondMoment = *rounds;
  return newPart<TrainingRule, LoraProRule>(options);
}

}  // namespace rankscope

#include "core/methods/rules/lora_rite.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/methods/method_options.h"

namespace rankscope {

namespace {

struct LoraRiteOptions {
  double eps = 1e-6;
  double updateSkipping = 1;   // 0: off
  double clipUnmagnified = 1;  // 0: off
  bool balance = false;
};

// β-weights that sum to one over the steps so far: 0 at t = 1.
double corrected(double beta, double t) {
  return beta * (1 - std::pow(beta, t - 1)) / (1 - std::pow(beta, t));
}

// One factor's side: A's statistics live in B's basis and the other way round.
struct Side {
  at::Tensor basis;         // Q of this factor as last seen, [in or out, r]
  at::Tensor second;        // V [r, r], in the other factor's basis
  at::Tensor first;         // M [in or out, r], likewise
  at::Tensor newBasis, r;   // of this step
  at::Tensor unmagnified;   // U [in or out, r]
  at::Tensor otherInverse;  // pseudo-inverse of the other factor's R
};

class LoraRiteRule final : public TrainingRule {
 public:
  explicit LoraRiteRule(const LoraRiteOptions& options) : m_options(options) {}

  bool movesFactors() const override { return true; }

  void beforeStep(const StepInfo& info, Optimizer& optimizer) override {
    const at::NoGradGuard noGrad;
    m_steps.add_(1);
    const double t = m_steps.item<double>();
    const OptimizerSettings& settings = optimizer.settings();
    double squares = 0;
    std::vector<size_t> moved;
    for (size_t i = 0; i < sites().size(); ++i) {
      if (!sites()[i].a.grad().defined() || !sites()[i].b.grad().defined()) continue;
      moved.push_back(i);
      squares += unmagnify(i);
    }
    const double norm = std::sqrt(squares);
    const double clip =
        m_options.clipUnmagnified > 0 && norm > m_options.clipUnmagnified ? m_options.clipUnmagnified / norm : 1.0;
    for (const size_t i : moved) {
      AdaptedSite& adapted = sites()[i];
      Side &a = m_a[i], &b = m_b[i];
      const at::Tensor stepA = direction(a, b, clip, t, settings).t(), stepB = direction(b, a, clip, t, settings);
      move(adapted.a, stepA, info.learningRate, settings.weightDecay);
      move(adapted.b, stepB, info.learningRate, settings.weightDecay);
      a.basis.copy_(a.newBasis);
      b.basis.copy_(b.newBasis);
      if (m_options.balance) balance(adapted);
    }
  }

  std::vector<OptimizedParameter> state() const override {
    std::vector<OptimizedParameter> out{{"lora_rite.steps", m_steps}};
    for (size_t i = 0; i < m_a.size(); ++i)
      for (const auto& [factor, side] : {std::pair{".lora_A", &m_a[i]}, std::pair{".lora_B", &m_b[i]}}) {
        const std::string name = sites()[i].site->name + factor;
        out.push_back({name + ".basis", side->basis});
        out.push_back({name + ".exp_avg", side->first});
        out.push_back({name + ".exp_avg_sq", side->second});
      }
    return out;
  }

  int64_t stateAt(int64_t outFeatures, int64_t inFeatures, int64_t rank) const override {
    // Bases and first moments; the second moments in float64.
    return 2 * rank * (outFeatures + inFeatures) + 4 * rank * rank;
  }

  // Reduced bases of r columns need as many rows.
  Result<void> check(const AdaptedSite& adapted) const override {
    const int64_t least = std::min(adapted.site->inFeatures, adapted.site->outFeatures);
    if (adapted.rank <= least) return {};
    return Error{ErrorCode::Usage, "the rank is larger than the matrix, and LoRA-RITE turns in a basis of that size",
                 "method.rank", fmt::format("{} at {}", adapted.rank, adapted.site->name), fmt::format("at most {}", least),
                 "Choose a smaller rank, or leave the matrix out."};
  }

 protected:
  void bound() override {
    m_steps = at::zeros({1}, at::kDouble);
    m_a.clear();
    m_b.clear();
    for (const AdaptedSite& adapted : sites()) {
      m_a.push_back(freshSide(adapted.a.size(1), adapted.rank, adapted.a));
      m_b.push_back(freshSide(adapted.b.size(0), adapted.rank, adapted.b));
    }
  }

 private:
  static Side freshSide(int64_t rows, int64_t rank, const at::Tensor& like) {
    const auto options = like.options().requires_grad(false);
    Side side;
    side.basis = at::zeros({rows, rank}, options);
    side.first = at::zeros({rows, rank}, options);
    side.second = at::zeros({rank, rank}, options.dtype(at::kDouble));
    return side;
  }

  // R⁺ in float64; B = 0 has R⁺ = 0, by which A stays where it is. Directions below float32's resolution count as none,
  // as they do in the published code: where a gradient has fewer directions than the rank, the rest of B is rounding, and
  // its inverse would throw A away.
  static at::Tensor pseudoInverse(const at::Tensor& r) {
    const double cutoff = static_cast<double>(r.size(0)) * static_cast<double>(std::numeric_limits<float>::epsilon());
    return at::linalg_pinv(r.to(at::kDouble), cutoff);
  }

  // Bases and unmagnified gradients of a pair; the sum of their squares after skipping.
  double unmagnify(size_t i) {
    const AdaptedSite& adapted = sites()[i];
    Side &a = m_a[i], &b = m_b[i];
    std::tie(a.newBasis, a.r) = at::linalg_qr(adapted.a.detach().t());
    std::tie(b.newBasis, b.r) = at::linalg_qr(adapted.b.detach());
    a.otherInverse = pseudoInverse(b.r);
    b.otherInverse = pseudoInverse(a.r);
    a.unmagnified = adapted.a.grad().t().mm(a.otherInverse.to(adapted.a.scalar_type()));
    b.unmagnified = adapted.b.grad().mm(b.otherInverse.to(adapted.b.scalar_type()));
    double squares = 0;
    for (Side* side : {&a, &b}) {
      const double square = side->unmagnified.square().sum(at::kDouble).item<double>();
      const double rms = std::sqrt(square / static_cast<double>(side->unmagnified.numel()));
      if (m_options.updateSkipping > 0 && rms > m_options.updateSkipping)
        side->unmagnified.zero_();
      else
        squares += square;
    }
    return squares;
  }

  // The step of one factor as [in or out, r]; its moments turn with the other factor's basis.
  at::Tensor direction(Side& side, const Side& other, double clip, double t, const OptimizerSettings& settings) const {
    const at::Tensor u = side.unmagnified * clip;
    const at::Tensor turn = other.newBasis.t().mm(other.basis);
    const at::Tensor turn64 = turn.to(at::kDouble);
    const double keep1 = corrected(settings.beta1, t), keep2 = corrected(settings.beta2, t);
    const at::Tensor u64 = u.to(at::kDouble);
    at::Tensor second = u64.t().mm(u64) * ((1 - keep2) / static_cast<double>(u.size(0)));
    if (keep2 > 0) second += turn64.mm(side.second).mm(turn64.t()) * keep2;
    second = (second + second.t()) / 2;
    side.second.copy_(second);
    const auto [lambda, e] = at::linalg_eigh(second);
    const at::Tensor root = (e / (lambda.clamp_min(0).sqrt() + m_options.eps)).mm(e.t());
    const at::Tensor normalised = u.mm(root.to(u.scalar_type())).nan_to_num(0, 0, 0);
    at::Tensor first = normalised * (1 - keep1);
    if (keep1 > 0) first.add_(side.first.mm(turn.t()), keep1);
    side.first.copy_(first);
    return first.mm(side.otherInverse.t().to(first.scalar_type()));
  }

  static void move(at::Tensor& factor, const at::Tensor& step, double learningRate, double decay) {
    const at::Tensor whole = decay > 0 ? step + factor * decay : step;
    factor.sub_(whole, learningRate);
    factor.mutable_grad() = at::Tensor();
  }

  // Both norms become their geometric mean.
  void balance(AdaptedSite& adapted) const {
    const double a = adapted.a.norm().item<double>(), b = adapted.b.norm().item<double>();
    if (!(a > 0 && b > 0)) return;
    // As released: the norms with eps added.
    adapted.a.mul_(std::sqrt((b + m_options.eps) / (a + m_options.eps)));
    adapted.b.mul_(std::sqrt((a + m_options.eps) / (b + m_options.eps)));
  }

  LoraRiteOptions m_options;
  at::Tensor m_steps;
  std::vector<Side> m_a, m_b;
};

}  // namespace

Result<std::unique_ptr<TrainingRule>> makeLoraRiteRule(const MethodSettings& settings) {
  LoraRiteOptions options;
  const auto read = [&](const char* key, double& value, double high) -> Result<void> {
    auto found = realOption(settings, key, value, 0, high);
    if (!found) return found.error();
    value = *found;
    return {};
  };
  if (auto ok = read("eps", options.eps, 1); !ok) return ok.error();
  if (auto ok = read("update_skipping", options.updateSkipping, 1e9); !ok) return ok.error();
  if (auto ok = read("clip_unmagnified", options.clipUnmagnified, 1e9); !ok) return ok.error();
  auto balanced = flagOption(settings, "balance", false);
  if (!balanced) return balanced.error();
  options.balance = *balanced;
  return newPart<TrainingRule, LoraRiteRule>(options);
}

}  // namespace rankscope

#include "core/methods/rules/lora_rite.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/methods/method_options.h"
#include "core/methods/rules/pair_algebra.h"

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

// What one factor keeps: A's moments live in B's basis and the other way round.
struct Side {
  at::Tensor basis;   // Q of this factor as last seen, [in or out, r]
  at::Tensor second;  // V [r, r], in the other factor's basis
  at::Tensor first;   // M [in or out, r], likewise
};

class LoraRiteRule final : public TrainingRule {
 public:
  explicit LoraRiteRule(const LoraRiteOptions& options) : m_options(options) {}

  bool movesFactors() const override { return true; }

  void beforeStep(const StepInfo& info, Optimizer& optimizer) override {
    const at::NoGradGuard noGrad;
    const std::vector<Moved> moved = withGradients();
    if (moved.empty()) return;
    // Aᵀ and B are both tall: Q R each, and what a factor's gradient is multiplied with is the other's R⁺.
    const auto [bases, triangles] = orthogonalised(moved);
    const Matrices inverses = batched(triangles, pseudoInverse);
    const Matrices unmagnified = unmagnify(moved, inverses);
    const Matrices steps = directions(moved, bases, inverses, unmagnified, static_cast<double>(info.step + 1),
                                      optimizer.settings());
    for (size_t k = 0; k < moved.size(); ++k) {
      move(moved[k], steps[k], info.learningRate, optimizer.settings().weightDecay);
      moved[k].side->basis.copy_(bases[k]);
    }
    if (m_options.balance)
      for (size_t k = 0; k < moved.size(); k += 2) balance(moved[k].tall, moved[k + 1].tall);
  }

  std::vector<OptimizedParameter> state() const override {
    std::vector<OptimizedParameter> out;
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

  using Matrices = std::vector<at::Tensor>;

  // A factor that moves, seen as a tall matrix [in or out, r]. They come in pairs: A at even places, B behind it.
  struct Moved {
    Side* side;
    at::Tensor factor, tall, gradient;
  };
  static size_t partner(size_t k) { return k ^ 1; }

  std::vector<Moved> withGradients() {
    std::vector<Moved> moved;
    for (size_t i = 0; i < sites().size(); ++i) {
      const at::Tensor &a = sites()[i].a, &b = sites()[i].b;
      if (!a.grad().defined() || !b.grad().defined()) continue;
      moved.push_back({&m_a[i], a, a.detach().t(), a.grad().t()});
      moved.push_back({&m_b[i], b, b.detach(), b.grad()});
    }
    return moved;
  }

  // Q and R of each.
  static std::pair<Matrices, Matrices> orthogonalised(const std::vector<Moved>& moved) {
    Matrices factors;
    for (const Moved& one : moved) factors.push_back(one.tall);
    const Matrices both = batched(factors, [](const at::Tensor& stack) {
      const auto [q, r] = at::linalg_qr(stack);
      return at::cat({q, r}, 1);
    });
    std::pair<Matrices, Matrices> parts;
    for (size_t k = 0; k < moved.size(); ++k) {
      const int64_t rows = moved[k].tall.size(0), rank = moved[k].tall.size(1);
      parts.first.push_back(both[k].narrow(0, 0, rows));
      parts.second.push_back(both[k].narrow(0, rows, rank));
    }
    return parts;
  }

  // R⁺ in float64; B = 0 has R⁺ = 0, by which A stays where it is. Directions below float32's resolution count as none,
  // as they do in the published code: where a gradient has fewer directions than the rank, the rest of B is rounding, and
  // its inverse would throw A away.
  static at::Tensor pseudoInverse(const at::Tensor& r) {
    const double cutoff = static_cast<double>(r.size(1)) * static_cast<double>(std::numeric_limits<float>::epsilon());
    return at::linalg_pinv(r.to(at::kDouble), cutoff);
  }

  // U of every factor: skipped (0) where its root mean square is too large, and clipped by the norm over all sites. All
  // stays on the device.
  Matrices unmagnify(const std::vector<Moved>& moved, const Matrices& inverses) const {
    Matrices unmagnified;
    at::Tensor squares = at::zeros({}, moved.front().tall.options().dtype(at::kDouble));
    for (size_t k = 0; k < moved.size(); ++k) {
      at::Tensor u = moved[k].gradient.mm(inverses[partner(k)].to(moved[k].gradient.scalar_type()));
      at::Tensor square = u.square().sum(at::kDouble);
      if (m_options.updateSkipping > 0) {
        const at::Tensor tooLarge = (square / static_cast<double>(u.numel())).sqrt() > m_options.updateSkipping;
        u.masked_fill_(tooLarge, 0);
        square = square.masked_fill(tooLarge, 0);
      }
      squares += square;
      unmagnified.push_back(std::move(u));
    }
    if (m_options.clipUnmagnified <= 0) return unmagnified;
    const at::Tensor norm = squares.sqrt();
    const at::Tensor clip = at::where(norm > m_options.clipUnmagnified, m_options.clipUnmagnified / norm,
                                      at::ones_like(norm));
    for (at::Tensor& u : unmagnified) u.mul_(clip);
    return unmagnified;
  }

  // The step of each factor as [in or out, r]; its moments turn with the other factor's basis.
  Matrices directions(const std::vector<Moved>& moved, const Matrices& bases, const Matrices& inverses,
                      const Matrices& unmagnified, double t, const OptimizerSettings& settings) const {
    const double keep1 = corrected(settings.beta1, t), keep2 = corrected(settings.beta2, t);
    Matrices turns, wideTurns, turnsBack, before, seconds;
    for (size_t k = 0; k < moved.size(); ++k) {
      turns.push_back(bases[partner(k)].t().mm(moved[partner(k)].side->basis));
      wideTurns.push_back(turns.back().to(at::kDouble));
      turnsBack.push_back(wideTurns.back().t());
      before.push_back(moved[k].side->second);
    }
    const Matrices turned = products(products(wideTurns, before), turnsBack);
    for (size_t k = 0; k < moved.size(); ++k) {
      const at::Tensor u = unmagnified[k].to(at::kDouble);
      seconds.push_back(u.t().mm(u) * ((1 - keep2) / static_cast<double>(u.size(0))));
      if (keep2 > 0) seconds.back().add_(turned[k], keep2);
    }
    seconds = batched(seconds, [](const at::Tensor& stack) { return (stack + stack.transpose(1, 2)) / 2; });
    for (size_t k = 0; k < moved.size(); ++k) moved[k].side->second.copy_(seconds[k]);
    const Matrices roots = batched(seconds, [&](const at::Tensor& stack) {
      const auto [lambda, e] = at::linalg_eigh(stack);
      return (e / (lambda.clamp_min(0).sqrt() + m_options.eps).unsqueeze(1)).bmm(e.transpose(1, 2));
    });
    Matrices steps;
    for (size_t k = 0; k < moved.size(); ++k) {
      const at::Tensor& u = unmagnified[k];
      at::Tensor first = u.mm(roots[k].to(u.scalar_type())).nan_to_num(0, 0, 0) * (1 - keep1);
      if (keep1 > 0) first.add_(moved[k].side->first.mm(turns[k].t()), keep1);
      moved[k].side->first.copy_(first);
      steps.push_back(first.mm(inverses[partner(k)].t().to(first.scalar_type())));
    }
    return steps;
  }

  static void move(const Moved& one, const at::Tensor& step, double learningRate, double decay) {
    const at::Tensor whole = decay > 0 ? step + one.tall * decay : step;
    one.tall.sub_(whole, learningRate);
    one.factor.mutable_grad() = at::Tensor();
  }

  // Both norms become their geometric mean; as released: the norms with eps added.
  void balance(const at::Tensor& a, const at::Tensor& b) const {
    const at::Tensor normA = a.norm().to(at::kDouble), normB = b.norm().to(at::kDouble);
    const at::Tensor ratio = at::where((normA > 0).logical_and(normB > 0),
                                       ((normB + m_options.eps) / (normA + m_options.eps)).sqrt(), at::ones_like(normA));
    a.mul_(ratio);
    b.div_(ratio);
  }

  LoraRiteOptions m_options;
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

#include "core/methods/rules/adalora.h"

#include <algorithm>
#include <cmath>

#include "core/methods/method_options.h"
#include "core/methods/rules/pair_algebra.h"

namespace rankscope {

int64_t AdaLoraSchedule::initialSteps(int64_t total) const {
  return std::llround(initialShare * static_cast<double>(total));
}

int64_t AdaLoraSchedule::finalSteps(int64_t total) const {
  return std::llround(finalShare * static_cast<double>(total));
}

int64_t AdaLoraSchedule::budget(int64_t t, int64_t total, int64_t first, int64_t last) const {
  const int64_t start = initialSteps(total), end = total - finalSteps(total);
  if (t <= start) return first;
  if (t >= end) return last;
  const double left = 1 - static_cast<double>(t - start) / static_cast<double>(end - start);
  return static_cast<int64_t>(static_cast<double>(first - last) * (left * left * left) + static_cast<double>(last));
}

bool AdaLoraSchedule::prunesAt(int64_t t, int64_t total) const {
  const int64_t end = total - finalSteps(total);
  if (end <= 1) return false;  // nothing was measured yet
  return t == end || (t > initialSteps(total) && t < end && t % interval == 0);
}

namespace {

struct AdaLoraOptions {
  AdaLoraSchedule schedule;
  int64_t targetRank = 0;
  double orthogonality = 0.5, smoothing = 0.85, deviationSmoothing = 0.85;
};

class AdaLoraRule final : public TrainingRule {
 public:
  explicit AdaLoraRule(const AdaLoraOptions& options) : m_options(options) {}

  at::Tensor lossTerm() const override {
    if (m_options.orthogonality <= 0) return {};
    if (sites().empty()) return {};
    std::vector<at::Tensor> grams;
    for (const AdaptedSite& adapted : sites()) {
      grams.push_back(adapted.a.mm(adapted.a.t()));
      grams.push_back(adapted.b.t().mm(adapted.b));
    }
    const auto distances = batched(grams, [](const at::Tensor& stack) {
      return at::linalg_vector_norm(stack - at::eye(stack.size(1), stack.options()), 2, at::IntArrayRef{1, 2});
    });
    return at::stack(distances).sum() * (m_options.orthogonality / (2.0 * static_cast<double>(sites().size())));
  }

  void afterStep(const StepInfo& info, Optimizer&) override {
    const int64_t t = info.step + 1, total = info.totalSteps;
    m_totalSteps.fill_(static_cast<double>(total));
    const at::NoGradGuard noGrad;
    const int64_t end = total - m_options.schedule.finalSteps(total);
    if (t < end) measure();
    if (m_options.schedule.prunesAt(t, total)) prune(m_options.schedule.budget(t, total, m_first, target()));
    if (t == end)
      for (Triplets& triplets : m_triplets)
        for (Entries* entries : {&triplets.a, &triplets.b, &triplets.e}) entries->forget();
    if (t > end) applyPattern();
  }

  std::vector<OptimizedParameter> state() const override {
    std::vector<OptimizedParameter> out{{"adalora.total_steps", m_totalSteps}};
    for (size_t i = 0; i < m_triplets.size(); ++i) {
      const Triplets& triplets = m_triplets[i];
      const std::string site = sites()[i].site->name;
      out.push_back({site + ".pattern", triplets.pattern});
      for (const auto& [name, entries] : {std::pair{".lora_A", &triplets.a}, std::pair{".lora_B", &triplets.b},
                                          std::pair{".lora_E", &triplets.e}}) {
        out.push_back({site + name + ".importance", entries->importance});
        out.push_back({site + name + ".deviation", entries->deviation});
      }
    }
    return out;
  }

  int64_t stateAt(int64_t outFeatures, int64_t inFeatures, int64_t rank) const override {
    return 2 * rank * (outFeatures + inFeatures + 1);
  }

  at::Tensor kept(size_t site) const override {
    // Everything, as long as nothing was pruned; later also what has grown again since.
    bool pruned = false;
    for (const Triplets& triplets : m_triplets) pruned = pruned || triplets.pattern.eq(0).any().item<bool>();
    if (!pruned) return {};
    return m_triplets[site].pattern.ne(0).logical_or(sites()[site].extra.detach().view(-1).ne(0));
  }

  void pruned(size_t site, int64_t ranks) override {
    const at::NoGradGuard noGrad;
    m_triplets[site].pattern.zero_().narrow(0, 0, ranks).fill_(1);
  }

  void describe(nlohmann::json& config) const override {
    const int64_t total = std::max<int64_t>(1, m_totalSteps.item<int64_t>());
    config["target_r"] = m_options.targetRank;
    config["total_step"] = total;
    config["tinit"] = m_options.schedule.initialSteps(total);
    config["tfinal"] = m_options.schedule.finalSteps(total);
    config["deltaT"] = m_options.schedule.interval;
    config["beta1"] = m_options.smoothing;
    config["beta2"] = m_options.deviationSmoothing;
    config["orth_reg_weight"] = m_options.orthogonality;
    for (size_t i = 0; i < m_triplets.size(); ++i) {
      const at::Tensor mask = kept(i);
      if (!mask.defined()) return;
      auto& pattern = config["rank_pattern"][sites()[i].site->name + ".lora_E"] = nlohmann::json::array();
      for (int64_t j = 0; j < mask.size(0); ++j) pattern.push_back(mask[j].item<bool>());
    }
  }

 protected:
  void bound() override {
    m_triplets.clear();
    m_first = 0;
    for (const AdaptedSite& adapted : sites()) {
      m_triplets.push_back({Entries(adapted.a), Entries(adapted.b), Entries(adapted.extra),
                            at::ones({adapted.rank}, adapted.a.options().requires_grad(false))});
      m_first += adapted.rank;
    }
  }

 private:
  // Smoothed importance of one tensor's entries, and its smoothed deviation.
  struct Entries {
    at::Tensor parameter, importance, deviation;

    explicit Entries(const at::Tensor& p)
        : parameter(p), importance(at::zeros_like(p.detach())), deviation(at::zeros_like(p.detach())) {}

    void measure(double smoothing, double deviationSmoothing) {
      if (!parameter.grad().defined()) return;
      const at::Tensor now = (parameter.detach() * parameter.grad()).abs_();
      importance.mul_(smoothing).add_(now, 1 - smoothing);
      deviation.mul_(deviationSmoothing).add_((now - importance).abs_(), 1 - deviationSmoothing);
    }
    at::Tensor score() const { return importance * deviation; }
    void forget() {
      importance.zero_();
      deviation.zero_();
    }
  };
  struct Triplets {
    Entries a, b, e;
    at::Tensor pattern;  // [r], 1 where the last pruning left the triplet
  };

  int64_t target() const { return m_options.targetRank * static_cast<int64_t>(sites().size()); }

  void measure() {
    for (Triplets& triplets : m_triplets)
      for (Entries* entries : {&triplets.a, &triplets.b, &triplets.e})
        entries->measure(m_options.smoothing, m_options.deviationSmoothing);
  }

  // The `m_first − budget` triplets of the smallest scores, over all sites, get E = 0; with ties, all of them.
  void prune(int64_t budget) {
    if (budget >= m_first) return;
    std::vector<at::Tensor> scores;
    for (const Triplets& triplets : m_triplets)
      scores.push_back(triplets.e.score().view(-1) + triplets.a.score().mean(1) + triplets.b.score().mean(0));
    const at::Tensor threshold = std::get<0>(at::kthvalue(at::cat(scores), m_first - budget));
    for (size_t i = 0; i < m_triplets.size(); ++i) m_triplets[i].pattern.copy_(scores[i] > threshold);
    applyPattern();
  }

  void applyPattern() {
    for (Triplets& triplets : m_triplets)
      triplets.e.parameter.detach().masked_fill_(triplets.pattern.eq(0).unsqueeze(1), 0);
  }

  AdaLoraOptions m_options;
  std::vector<Triplets> m_triplets;
  int64_t m_first = 0;  // triplets at the start
  at::Tensor m_totalSteps = at::zeros({}, at::kDouble);
};

}  // namespace

Result<std::unique_ptr<TrainingRule>> makeAdaLoraRule(const MethodSettings& settings) {
  AdaLoraOptions options;
  auto target = countOption(settings, "target_rank", 0, 0);
  if (!target) return target.error();
  options.targetRank = *target > 0 ? *target : std::max<int64_t>(1, (2 * settings.rank + 1) / 3);
  if (options.targetRank > settings.rank)
    return Error{ErrorCode::Usage,
                 "The target rank is above the first",
                 "method.target_rank",
                 fmt::format("{}", options.targetRank),
                 fmt::format("at most {}, which is method.rank", settings.rank),
                 "AdaLoRA starts with the larger rank, such as one and a half times the target, and prunes."};
  auto interval = countOption(settings, "mask_interval", options.schedule.interval, 1);
  if (!interval) return interval.error();
  options.schedule.interval = *interval;
  struct Real {
    const char* key;
    double* value;
    double high;
  };
  for (const Real& real : {Real{"initial_share", &options.schedule.initialShare, 1},
                           Real{"final_share", &options.schedule.finalShare, 1},
                           Real{"orthogonality", &options.orthogonality, 1e6},
                           Real{"importance_smoothing", &options.smoothing, 1},
                           Real{"deviation_smoothing", &options.deviationSmoothing, 1}}) {
    auto value = realOption(settings, real.key, *real.value, 0, real.high);
    if (!value) return value.error();
    *real.value = *value;
  }
  if (options.schedule.initialShare + options.schedule.finalShare >= 1)
    return Error{ErrorCode::Usage,
                 "AdaLoRA has no steps left in which to prune",
                 "method.final_share",
                 fmt::format("{} and {}", options.schedule.initialShare, options.schedule.finalShare),
                 "together less than 1",
                 "Lower method.initial_share or method.final_share."};
  return newPart<TrainingRule, AdaLoraRule>(options);
}

}  // namespace rankscope

#include "core/methods/forms/svd.h"

#include "core/methods/lora_adapter.h"

namespace rankscope {

namespace {

class SvdAdapter final : public SiteAdapter {
 public:
  SvdAdapter(const AdaptedSite& adapted, double dropout)
      : m_term{adapted.a, adapted.b, adapted.scaling, dropout}, m_e(adapted.extra) {}

  at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext& context) const override {
    return lowRankForward(site, x, *lowRankTerm(), context);
  }

  at::Tensor deltaWeight() const override {
    const at::NoGradGuard noGrad;
    return m_term.b.mm(m_term.a * m_e).mul_(m_term.scaling);
  }

  // A ⊙ E is a small product that autograd follows; the rest is LoRA's.
  std::optional<LowRankTerm> lowRankTerm() const override {
    LowRankTerm term = m_term;
    term.a = m_term.a * m_e;
    return term;
  }

 private:
  LowRankTerm m_term;
  at::Tensor m_e;
};

class SvdForm final : public SiteForm {
 public:
  explicit SvdForm(int64_t rank) : m_rank(rank) {}

  const char* extraName() const override { return "lora_E"; }
  std::vector<int64_t> extraShape(int64_t, int64_t rank) const override { return {rank, 1}; }
  bool prunes() const override { return true; }
  Result<void> check(const LinearSite& site) const override {
    if (site.operation == SiteOperation::Linear) return {};
    return Error{ErrorCode::Usage, "AdaLoRA's files have no place for this kind of site", "method.target_modules",
                 fmt::format("{}, {}", site.name, operationName(site.operation)), "linear sites",
                 "Leave this site out, or choose another method such as lora or dora."};
  }
  void startExtra(AdaptedSite& adapted) const override { adapted.extra.zero_(); }

  std::shared_ptr<SiteAdapter> adapter(const AdaptedSite& adapted, double dropout) const override {
    return std::make_shared<SvdAdapter>(adapted, dropout);
  }

  FactorPair factors(const AdaptedSite& adapted) const override {
    FactorPair pair = SiteForm::factors(adapted);
    pair.A = adapted.a.detach() * adapted.extra.detach();
    return pair;
  }

  void describe(nlohmann::json& config) const override {
    config["peft_type"] = "ADALORA";
    config["init_r"] = m_rank;
    config["r"] = 8;  // PEFT ignores it here, and warns of any other number
    config["rank_pattern"] = nullptr;
    // A schedule that prunes nothing; AdaLoRA's rule puts its own in place.
    config["target_r"] = m_rank;
    config["total_step"] = 1;
    config["tinit"] = config["tfinal"] = 0;
    config["deltaT"] = 1;
    config["beta1"] = config["beta2"] = 0.85;
    config["orth_reg_weight"] = 0.0;
  }
  std::string nameInFile(const std::string& factor) const override {
    return factor.substr(0, factor.size() - std::string_view(".weight").size());
  }

 private:
  int64_t m_rank;
};

}  // namespace

Result<std::unique_ptr<SiteForm>> makeSvdForm(const MethodSettings& settings) {
  return newPart<SiteForm, SvdForm>(settings.rank);
}

}  // namespace rankscope

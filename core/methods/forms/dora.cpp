#include "core/methods/forms/dora.h"

#include "core/methods/lora_adapter.h"
#include "kernels/dora_ops.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

class DoraAdapter final : public SiteAdapter {
 public:
  explicit DoraAdapter(const AdaptedSite& adapted, double dropout)
      : m_site(*adapted.site),
        m_term{adapted.a, adapted.b, adapted.scaling, 0},
        m_dropout(dropout),
        m_magnitude(adapted.extra) {}

  at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext& context) const override {
    const at::Tensor& norms = rowNorms();
    if (!context.training || m_dropout <= 0 || site.operation == SiteOperation::Embedding)
      return rescaled(site, lowRankForward(site, x, m_term, context), site.bias, norms);
    // With x̃ the dropped input: (x − x̃) Wᵀ + bias + c (x̃ Wᵀ + s x̃ Aᵀ Bᵀ).
    const uint64_t seed = kernels::dropoutSeed(context.dropoutSeed, context.step, context.microBatch);
    const at::Tensor dropped = kernels::dropout(x, m_dropout, seed, context.nextPlace++);
    LinearSite unbiased = site;
    unbiased.bias = at::Tensor();
    const at::Tensor adapted = lowRankForward(unbiased, dropped, m_term, context);
    return site.baseForward(x - dropped) + rescaled(site, adapted, {}, norms);
  }

  // The norms are of these factors: without dropout a group of sites may take its product at once and rescale it then.
  std::optional<LowRankTerm> lowRankTerm() const override {
    return LowRankTerm{m_term.a, m_term.b, m_term.scaling, m_dropout};
  }
  std::optional<ColumnScale> columnScale() const override { return ColumnScale{m_magnitude, rowNorms()}; }

  at::Tensor deltaWeight() const override {
    const at::NoGradGuard noGrad;
    const at::Tensor share = (m_magnitude.detach() / rowNorms()).unsqueeze(1);
    const at::Tensor weight = m_site.denseWeight().to(share.scalar_type());
    return m_term.b.detach().mm(m_term.a.detach()).mul_(m_term.scaling).mul_(share).addcmul_(weight, share - 1);
  }

 private:
  // y's columns, or a convolution's channels.
  at::Tensor rescaled(const LinearSite& site, const at::Tensor& y, const at::Tensor& bias, const at::Tensor& norms) const {
    if (site.operation != SiteOperation::Convolution) return kernels::rescaleColumns(y, bias, m_magnitude, norms);
    const auto perChannel = [&](const at::Tensor& t) { return t.to(y.scalar_type()).view({-1, 1, 1}); };
    const at::Tensor excess = perChannel(m_magnitude / norms - 1);
    return at::addcmul(y, bias.defined() ? y - perChannel(bias) : y, excess);
  }

  // Formed again only when a factor or the base weight has changed: micro-batches and evaluations share them.
  const at::Tensor& rowNorms() const {
    const at::Tensor& held = m_site.coded.defined() ? m_site.coded.packed : m_site.weight;
    const bool sameWeight = m_normed.held.defined() && m_normed.heldVersion == held._version() &&
                            m_normed.held.const_data_ptr() == held.const_data_ptr();
    const Versions now{m_term.a._version(), m_term.b._version()};
    if (sameWeight && m_normed.factors == now) return m_normed.norms;
    m_normed = {held.detach(), kernels::doraRowNorms(m_site.denseWeight(), m_term.a, m_term.b, m_term.scaling),
                held._version(), now};
    return m_normed.norms;
  }

  using Versions = std::pair<int64_t, int64_t>;
  struct Normed {
    at::Tensor held, norms;  // the weight's memory is held: its address cannot come to mean another
    int64_t heldVersion = 0;
    Versions factors{0, 0};
  };

  const LinearSite& m_site;  // owns this
  LowRankTerm m_term;  // without dropout, which is applied to the site's input as a whole
  double m_dropout;
  at::Tensor m_magnitude;
  mutable Normed m_normed;
};

class DoraForm final : public SiteForm {
 public:
  const char* extraName() const override { return "lora_magnitude_vector"; }
  std::vector<int64_t> extraShape(int64_t outFeatures, int64_t) const override { return {outFeatures}; }
  bool keepsOutput() const override { return true; }

  void startExtra(AdaptedSite& adapted) const override {
    adapted.extra.copy_(kernels::doraRowNorms(adapted.site->denseWeight(), adapted.a, adapted.b, adapted.scaling));
  }

  std::shared_ptr<SiteAdapter> adapter(const AdaptedSite& adapted, double dropout) const override {
    return std::make_shared<DoraAdapter>(adapted, dropout);
  }

  FactorPair factors(const AdaptedSite& adapted) const override {
    FactorPair pair = SiteForm::factors(adapted);
    pair.magnitude = adapted.extra;
    return pair;
  }

  void describe(nlohmann::json& config) const override { config["use_dora"] = true; }
};

}  // namespace

Result<std::unique_ptr<SiteForm>> makeDoraForm(const MethodSettings&) { return newPart<SiteForm, DoraForm>(); }

}  // namespace rankscope

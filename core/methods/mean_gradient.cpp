#include "core/methods/mean_gradient.h"

#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "core/methods/trained_parameters.h"

namespace rankscope {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Passes a site's output on; in backward adds the gradient of the site's weight to `sum`.
class Tap : public torch::autograd::Function<Tap> {
 public:
  // `anchor` requires a gradient, so that the output does even where nothing before it trains.
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& output, const at::Tensor& input,
                            const at::Tensor& /*anchor*/, const at::Tensor& sum, const LinearSite* site) {
    ctx->save_for_backward({input.detach()});
    ctx->saved_data["site"] = reinterpret_cast<int64_t>(site);
    ctx->saved_data["sum"] = sum;  // not saved for backward: every pass changes it
    return output.view_as(output);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const at::Tensor& gradient = gradients[0];
    if (gradient.defined()) {
      const auto* site = reinterpret_cast<const LinearSite*>(ctx->saved_data["site"].toInt());
      at::Tensor sum = ctx->saved_data["sum"].toTensor();
      site->addWeightGradient(sum, ctx->get_saved_variables()[0], gradient);
    }
    return {gradient, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

class TapAdapter final : public SiteAdapter {
 public:
  explicit TapAdapter(at::Tensor sum) : m_sum(std::move(sum)), m_anchor(at::empty({0}, at::kFloat).requires_grad_()) {}
  at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext&) const override {
    const at::Tensor output = site.baseForward(x);
    return at::GradMode::is_enabled() ? Tap::apply(output, x, m_anchor, m_sum, &site) : output;
  }
  at::Tensor deltaWeight() const override { return {}; }

 private:
  at::Tensor m_sum, m_anchor;
};

// Taps on all sites, as long as the object lives.
struct Taps {
  Taps(const Model& model, const std::vector<LinearSite*>& on) : sites(on) {
    for (LinearSite* site : sites) {
      const at::Device device = site->coded.defined() ? site->coded.packed.device() : site->weight.device();
      sums.push_back(at::zeros({site->outFeatures, site->inFeatures},
                               at::TensorOptions(device).dtype(trainingDtype(model))));
      site->adapter = std::make_shared<TapAdapter>(sums.back());
    }
  }
  ~Taps() {
    for (LinearSite* site : sites) site->adapter.reset();
  }
  Taps(const Taps&) = delete;
  Taps& operator=(const Taps&) = delete;

  const std::vector<LinearSite*>& sites;
  std::vector<at::Tensor> sums;
};

Error notFinite(const std::string& what, const std::string& where) {
  return {ErrorCode::Training, what, where, "a value that is not finite", "a finite number",
          "Look at the training data, compute in fp32, or choose another start."};
}

}  // namespace

Error startInterrupted() {
  return {ErrorCode::Interrupted, "the start was not sought to its end", "method.init", "", "",
          "Start the run again; what was found is kept."};
}

Result<std::vector<at::Tensor>> meanGradients(Model& model, const std::vector<LinearSite*>& sites,
                                              const StartSupport& support) {
  Taps taps(model, sites);
  for (int64_t i = 0; i < support.batches; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(support.batches);
    if (support.progress && !support.progress("gradients of the base model", share)) return startInterrupted();
    ForwardContext context;
    const at::Tensor loss = model.loss(support.batch(i), context, 0);
    if (!std::isfinite(loss.item<double>()))
      return notFinite("the loss of the base model is not finite", fmt::format("batch {} of the start", i + 1));
    // A batch without any labelled position has no gradient to give.
    if (loss.requires_grad()) loss.backward();
  }
  for (size_t i = 0; i < sites.size(); ++i) {
    taps.sums[i].div_(static_cast<double>(support.batches));
    if (!taps.sums[i].isfinite().all().item<bool>())
      return notFinite("a gradient of the base model is not finite", sites[i]->name);
  }
  return std::move(taps.sums);
}

}  // namespace rankscope

// DoRA against its definition: norms, gradients with the norm held constant, merging, dropout, and together with other
// parts.

#include <QtTest/QtTest>

#include "core/methods/factor_probes.h"
#include "kernels/dora_ops.h"
#include "kernels/ops.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

constexpr double kScaling = 1.5;

at::Tensor numbers(at::IntArrayRef shape, const char* name, at::ScalarType dtype = at::kFloat) {
  return normalTensor(shape, name, 0.3, dtype);
}

// DoRA on every q_proj of the model, away from its start.
std::unique_ptr<Method> trainedDora(Model& model, const nlohmann::json& options = {}, double dropout = 0) {
  MethodSettings s = smallSettings("dora", options, {"q_proj"});
  s.alpha = static_cast<double>(s.rank) * kScaling;
  s.dropout = dropout;
  auto method = attached(model, s);
  disturb(*method, 0.2, "lora_");
  return method;
}

// W' by its definition.
at::Tensor adaptedWeight(const FactorPair& pair, const at::Tensor& original) {
  at::Tensor v = original.to(at::kDouble) + pair.B.detach().to(at::kDouble).mm(pair.A.detach().to(at::kDouble)) * pair.scaling;
  if (pair.startA.defined())
    v = v - pair.startB.to(at::kDouble).mm(pair.startA.to(at::kDouble)) * pair.scaling;
  return v * (pair.magnitude.detach().to(at::kDouble) / at::linalg_vector_norm(v, 2, at::IntArrayRef{1})).unsqueeze(1);
}

}  // namespace

class Dora : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void rowNormsWithoutTheUpdate() {
    for (const auto dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const at::Tensor w = numbers({70, 50}, "w", dtype), wide = dtype == at::kDouble ? w : w.to(at::kFloat);
      const at::Tensor a = numbers({5, 50}, "a", wide.scalar_type()), b = numbers({70, 5}, "b", wide.scalar_type());
      const at::Tensor norms = kernels::doraRowNorms(w, a, b, kScaling);
      QVERIFY(norms.scalar_type() == a.scalar_type());
      const at::Tensor expected = kernels::reference::doraRowNorms(w, a, b, kScaling);
      QVERIFY(worstDifference(norms, expected) < (dtype == at::kDouble ? 1e-12 : 2e-6));
      // A transposed view, as GPT-2 keeps its weights.
      const at::Tensor turned = w.t().contiguous().t();
      QVERIFY(worstDifference(kernels::doraRowNorms(turned, a, b, kScaling), norms) < 2e-6);
    }
  }

  void aRowOfZerosIsNoDivisionByZero() {
    const at::Tensor w = at::zeros({4, 6}), a = numbers({2, 6}, "a"), b = at::zeros({4, 2});
    const at::Tensor norms = kernels::doraRowNorms(w, a, b, 1);
    QVERIFY((norms > 0).all().item<bool>());
    QVERIFY(kernels::rescaleColumns(at::zeros({3, 4}), {}, at::zeros({4}), norms).eq(0).all().item<bool>());
  }

  void rescalingAndItsGradients() {
    for (const bool withBias : {true, false}) {
      std::vector<at::Tensor> ours, theirs;
      for (const bool reference : {false, true}) {
        at::Tensor y = numbers({9, 6}, "y", at::kDouble).requires_grad_(true);
        at::Tensor bias = withBias ? numbers({6}, "bias", at::kDouble).requires_grad_(true) : at::Tensor();
        at::Tensor m = (numbers({6}, "m", at::kDouble).abs() + 0.5).requires_grad_(true);
        const at::Tensor norm = numbers({6}, "n", at::kDouble).abs() + 0.5;
        const at::Tensor out = reference ? kernels::reference::rescaleColumns(y, bias, m, norm)
                                         : kernels::rescaleColumns(y, bias, m, norm);
        (out * numbers({9, 6}, "g", at::kDouble)).sum().backward();
        auto& list = reference ? theirs : ours;
        list = {out.detach(), y.grad(), m.grad()};
        if (withBias) list.push_back(bias.grad());
      }
      for (size_t i = 0; i < ours.size(); ++i)
        QVERIFY2(worstDifference(ours[i], theirs[i]) < 1e-13, std::to_string(i).c_str());
    }
    const at::Tensor y = numbers({9, 6}, "y", at::kBFloat16), m = numbers({6}, "m").abs() + 0.5;
    QVERIFY(at::equal(kernels::rescaleColumns(y, numbers({6}, "bias"), m, m), y));
  }

  // METHODS 6: ∂ℓ/∂V = diag(m/‖V‖) ∂ℓ/∂W', rows of it not orthogonal to V's; ∂ℓ/∂m_i = ⟨∂ℓ/∂W'_i, V_i/‖V_i‖⟩.
  void gradientsHoldTheNormConstant() {
    FakeModel model({at::kDouble}), whole({at::kDouble});
    auto method = trainedDora(model);
    ForwardContext context;
    model.loss(fakeBatch(model), context, 0).backward();
    std::map<std::string, at::Tensor> leaves;
    for (const FactorPair& pair : method->factorPairs()) {
      at::Tensor leaf = adaptedWeight(pair, pair.site->weight).requires_grad_(true);
      leaves[pair.site->name] = leaf;
      whole.replaceSiteWeight(whole.site(pair.site->name), leaf);
    }
    whole.rebind();
    ForwardContext again;
    whole.loss(fakeBatch(whole), again, 0).backward();
    for (const FactorPair& pair : method->factorPairs()) {
      const at::Tensor grad = leaves[pair.site->name].grad();
      const at::Tensor v = pair.site->weight + pair.B.detach().mm(pair.A.detach()) * pair.scaling;
      const at::Tensor norm = at::linalg_vector_norm(v, 2, at::IntArrayRef{1});
      const at::Tensor gradV = grad * (pair.magnitude.detach() / norm).unsqueeze(1);
      QVERIFY(worstDifference(pair.B.grad(), gradV.mm(pair.A.detach().t()) * pair.scaling) < 1e-12);
      QVERIFY(worstDifference(pair.A.grad(), pair.B.detach().t().mm(gradV) * pair.scaling) < 1e-12);
      QVERIFY(worstDifference(pair.magnitude.grad(), (grad * v).sum(1) / norm) < 1e-12);
      QVERIFY((gradV * v).sum(1).abs().max().item<double>() > 1e-6);
    }
  }

  void mergedRowsHaveTheirMagnitudes() {
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      FakeModel model({dtype});
      auto method = trainedDora(model);
      std::map<const LinearSite*, at::Tensor> magnitudes;
      for (const FactorPair& pair : method->factorPairs()) magnitudes[pair.site] = pair.magnitude.detach();
      const at::Tensor before = logitsOf(model);
      QVERIFY(method->merge(model).ok());
      QVERIFY(worstDifference(before, logitsOf(model)) < 1e-5);
      for (const auto& [site, magnitude] : magnitudes)
        QVERIFY(worstDifference(at::linalg_vector_norm(site->weight, 2, at::IntArrayRef{1}), magnitude.abs()) < 1e-6);
    }
  }

  void probesMeasureTheWholeUpdate() {
    for (const char* start : {"kaiming", "redraw"}) {
      FakeModel model;
      std::map<std::string, at::Tensor> before;
      for (const LinearSite* site : model.sites()) before[site->name] = site->weight;
      auto method = trainedDora(model, {{"init", start}});
      const FactorStats stats = FactorProbes(*method).measure();
      const auto pairs = method->factorPairs();
      for (size_t i = 0; i < pairs.size(); ++i) {
        const at::Tensor original = before[pairs[i].site->name].to(at::kDouble);
        const double moved = (adaptedWeight(pairs[i], original) - original).norm().item<double>();
        QVERIFY(std::abs(stats.relativeUpdate[i] * original.norm().item<double>() / moved - 1) < 1e-5);
      }
    }
  }

  // As PEFT: the base path of the undropped input, and (c − 1) x̃ Wᵀ + c s x̃ Aᵀ Bᵀ of the dropped one.
  void dropoutActsOnTheAdaptedPath() {
    FakeModel model({at::kDouble});
    auto method = trainedDora(model, {}, 0.4);
    const FactorPair pair = method->factorPairs().front();
    const LinearSite& site = model.site(pair.site->name);
    const at::Tensor x = numbers({7, site.inFeatures}, "x", at::kDouble);
    const auto output = [&](uint64_t seed, bool training) {
      const at::NoGradGuard noGrad;
      ForwardContext context;
      context.training = training;
      context.dropoutSeed = seed;
      return site.forward(x, context);
    };
    QVERIFY(at::equal(output(1, true), output(1, true)));
    QVERIFY(!at::equal(output(1, true), output(2, true)));
    const at::Tensor merged = adaptedWeight(pair, site.weight);
    QVERIFY(worstDifference(output(1, false), at::linear(x, merged, site.bias)) < 1e-13);
    const at::Tensor dropped = kernels::dropout(x, 0.4, kernels::dropoutSeed(3, 0, 0), 0);
    const at::Tensor expected = at::linear(x, site.weight, site.bias) + at::linear(dropped, merged - site.weight);
    QVERIFY(worstDifference(output(3, true), expected) < 1e-13);
  }

  // With both factors random, the start leaves the base weight, and the export is DoRA of twice the rank on the original.
  void togetherWithAStartThatLeavesTheWeight() {
    FakeModel model;
    auto method = trainedDora(model, {{"init", "redraw"}, {"rule", "reflora"}, {"warmup_steps", 0}});
    MethodSettings plain = method->settings();
    plain.options = nlohmann::json::object();
    plain.rank *= 2;
    plain.alpha *= 2;
    FakeModel other;
    auto again = attached(other, plain);
    auto ok = again->loadAdapterTensors(method->adapterTensors());
    if (!ok) QFAIL(ok.error().message().c_str());
    QVERIFY(worstDifference(logitsOf(model), logitsOf(other)) < 1e-5);
    QCOMPARE(method->adapterConfig(model, "")["r"], nlohmann::json(plain.rank));
    QCOMPARE(method->adapterConfig(model, "")["use_dora"], nlohmann::json(true));
  }
};

QTEST_GUILESS_MAIN(Dora)
#include "dora.moc"

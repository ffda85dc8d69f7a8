// Full fine-tuning: masters, decay groups, tied weights, choices of modules and layers.

#include <QtTest/QtTest>

#include "core/methods/registry.h"
#include "core/methods/trained_parameters.h"
#include "core/optim/registry.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

std::unique_ptr<Method> attachedFull(Model& model, const std::vector<std::string>& targets = {},
                                     const std::vector<std::string>& layers = {}) {
  MethodSettings s = smallSettings("full", {}, targets);
  s.layersToTransform = layers;
  return attached(model, s);
}

std::vector<std::string> namesOf(const Method& method) {
  std::vector<std::string> out;
  for (const auto& p : method.trainable()) out.push_back(p.name);
  return out;
}

}  // namespace

class FullMethod : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void everyParameterTrains() {
    FakeModel model;
    auto method = attachedFull(model);
    QCOMPARE(method->trainable().size(), model.parameters().entries().size());
    for (const auto& p : method->trainable()) QVERIFY(p.tensor.is_same(model.parameters().at(p.name)));
    QCOMPARE(method->changedSites().size(), model.sites().size());
  }

  void decayLeavesBiasesAndNorms() {
    QVERIFY(isDecayed("model.layers.0.self_attn.q_proj.weight"));
    QVERIFY(isDecayed("model.embed_tokens.weight"));
    QVERIFY(!isDecayed("classifier.bias"));
    QVERIFY(!isDecayed("bias"));
    QVERIFY(!isDecayed("model.norm.weight"));
    QVERIFY(!isDecayed("model.layers.0.post_attention_layernorm.weight"));
    QVERIFY(!isDecayed("bert.encoder.layer.0.output.LayerNorm.weight"));
    QVERIFY(!isDecayed("transformer.h.0.ln_1.weight"));
    QVERIFY(isDecayed("a.lora_A.weight"));
  }

  void mastersAreFloat32AndTheOriginalsStay() {
    FakeModel model({at::kBFloat16});
    std::map<std::string, at::Tensor> before;
    for (const auto& e : model.parameters().entries()) before[e.name] = e.tensor;
    auto method = attachedFull(model);
    for (const auto& p : method->trainable()) {
      QVERIFY(p.tensor.scalar_type() == at::kFloat);
      QVERIFY(at::equal(p.tensor.detach(), before[p.name].to(at::kFloat)));
      QVERIFY(!p.tensor.is_alias_of(before[p.name]));
    }
    for (const auto* site : method->changedSites())
      QVERIFY(method->originalWeight(*site).is_alias_of(before[site->name + ".weight"]));
    // A step far below bfloat16's resolution is kept by the master.
    ForwardContext context;
    model.loss(fakeBatch(model), context, 0).backward();
    auto optimizer = makeOptimizer(method->trainable(), {});
    (*optimizer)->step(1e-6);
    const auto& weight = model.site("model.layers.0.mlp.up_proj").weight;
    const at::Tensor moved = (weight.detach() - before["model.layers.0.mlp.up_proj.weight"].to(at::kFloat)).abs();
    QVERIFY(moved.max().item<double>() > 0 && moved.max().item<double>() < 2e-6);
    QVERIFY(method->merge(model).ok());
    QVERIFY(model.site("model.layers.0.mlp.up_proj").weight.scalar_type() == at::kBFloat16);
    QVERIFY(!model.site("model.layers.0.mlp.up_proj").weight.requires_grad());
  }

  void aTiedWeightIsOneParameterWithBothGradients() {
    FakeModelOptions options;
    options.classification = false;
    options.dtype = at::kDouble;
    FakeModel model(options);
    auto method = attachedFull(model);
    const auto names = namesOf(*method);
    QCOMPARE(std::count(names.begin(), names.end(), "model.embed_tokens.weight"), 1);
    QCOMPARE(std::count(names.begin(), names.end(), "lm_head.weight"), 0);
    const PackedBatch batch = fakeBatch(model);
    ForwardContext context;
    model.loss(batch, context, 0).backward();
    at::Tensor& tied = model.parameters().at("lm_head.weight");
    const at::Tensor gradient = tied.grad().clone();
    // Against a difference quotient in one entry that both uses see.
    const auto token = batch.inputIds[0].item<int64_t>();
    const at::NoGradGuard noGrad;
    const double h = 1e-6;
    auto lossAt = [&](double shift) {
      tied[token][3].add_(shift);
      const double loss = model.loss(batch, context, 0).item<double>();
      tied[token][3].sub_(shift);
      return loss;
    };
    const double quotient = (lossAt(h) - lossAt(-h)) / (2 * h);
    QVERIFY(std::abs(quotient - gradient[token][3].item<double>()) < 1e-7);
  }

  void choicesOfModulesAndLayers() {
    {
      FakeModel model;
      auto method = attachedFull(model, {"up_proj"});
      QVERIFY((namesOf(*method) == std::vector<std::string>{"model.layers.0.mlp.up_proj.weight",
                                                            "model.layers.1.mlp.up_proj.weight", "classifier.weight",
                                                            "classifier.bias"}));
      QVERIFY(!model.site("model.layers.0.self_attn.q_proj").weight.requires_grad());
    }
    {
      FakeModel model;
      auto method = attachedFull(model, {}, {"1"});
      const auto names = namesOf(*method);
      QCOMPARE(names.size(), size_t{7});
      QCOMPARE(names.front(), std::string("model.layers.1.input_layernorm.weight"));
    }
    {
      FakeModel model;
      auto method = attachedFull(model, {"all-linear"});
      const auto names = namesOf(*method);
      QCOMPARE(names.size(), size_t{10});
      QVERIFY(std::find(names.begin(), names.end(), "model.embed_tokens.weight") == names.end());
    }
    {
      FakeModel model;
      MethodSettings s;
      s.name = "full";
      s.targetModules = {"nowhere"};
      auto method = makeMethod(s);
      QVERIFY(!(*method)->attach(model).ok());
    }
  }

  void adapterConfigIsEmpty() {
    FakeModel model;
    auto method = attachedFull(model);
    QVERIFY(method->adapterConfig(model, "base").empty());
    QVERIFY(method->factorPairs().empty());
  }
};

QTEST_GUILESS_MAIN(FullMethod)
#include "full.moc"

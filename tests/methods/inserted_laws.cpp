// Laws of single methods that insert modules: what one of them is equal to, what it leaves alone, what it keeps while it
// trains; and settings that cannot be.

#include <QtTest/QtTest>

#include "core/methods/inserted/reft.h"
#include "tests/methods/family_training.h"

using namespace rankscope;
using namespace rankscope::test;
using namespace rankscope::testing;
using nlohmann::json;

class MethodsInsertedLaws : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void layersAreLeftAlone() {
    for (const char* method : {"houlsby", "pfeiffer", "parallel", "llm_series", "llm_parallel", "loreft", "direft"}) {
      MethodSettings settings = settingsOf(method, json::object());
      settings.layersToTransform = {"1"};
      const Training training(families().front().second, settings, at::kFloat);
      int64_t inside = 0;
      for (const OptimizedParameter& p : training.method->trainable()) {
        if (p.name == "score.weight") continue;
        QVERIFY2(p.name.find("layers.1.") != std::string::npos, p.name.c_str());
        ++inside;
      }
      QVERIFY(inside > 0);
      settings.layersToTransform = {"7"};
      const auto model = randomModel(families().front().second, HeadKind::SequenceClassification);
      auto refused = (*makeMethod(settings))->attach(*model);
      QVERIFY(!refused.ok() && !refused.error().hint.empty());
    }
  }

  void whatCannotBeIsRefused_data() {
    QTest::addColumn<QString>("family");
    QTest::addColumn<QString>("method");
    QTest::addColumn<QString>("options");
    QTest::addColumn<QString>("where");
    const auto row = [](const char* family, const char* method, const char* options, const char* where) {
      QTest::addRow("%s %s %s", family, method, options) << family << method << options << where;
    };
    row("deberta", "prefix", "{}", "method.name");
    row("mpnet", "prefix", "{}", "method.name");
    row("gpt2", "prefix", R"({"virtual_tokens":64})", "method.virtual_tokens");
    row("llama", "houlsby", R"({"reduction_factor":25})", "method.reduction_factor");
    row("llama", "houlsby", R"({"activation":"sine"})", "method.activation");
    row("llama", "llm_series", R"({"bottleneck_size":0})", "method.bottleneck_size");
    row("llama", "loreft", R"({"positions":"f7-l7"})", "method.positions");
    row("llama", "direft", R"({"positions":""})", "method.positions");
    row("llama", "parallel", R"({"adapter_scale":-1})", "method.adapter_scale");
  }
  void whatCannotBeIsRefused() {
    QFETCH(QString, family);
    QFETCH(QString, method);
    QFETCH(QString, options);
    QFETCH(QString, where);
    for (const auto& [name, config] : families()) {
      if (name != family.toStdString()) continue;
      const auto model = randomModel(config, HeadKind::SequenceClassification);
      auto refused =
          (*makeMethod(settingsOf(method.toStdString(), json::parse(options.toStdString()))))->attach(*model);
      QVERIFY(!refused.ok());
      QCOMPARE(QString::fromStdString(refused.error().where), where);
      QVERIFY(!refused.error().hint.empty() && !refused.error().expected.empty());
    }
  }

  // METHODS 16: with no activation the adapter beside a matrix is LoRA with A = Down, B = Up, s = λ.
  void aLinearParallelAdapterIsLora() {
    const json& config = families().front().second;
    Training adapters(config, settingsOf("llm_parallel", {{"bottleneck_size", 3}, {"activation", "linear"}, {"adapter_scale", 2.0}}),
                      at::kDouble);
    MethodSettings settings = settingsOf("lora", json::object());
    settings.alpha = 6;
    settings.targetModules = {"gate_proj", "up_proj", "down_proj"};
    Training lora(config, settings, at::kDouble);
    disturb(*adapters.method, 0.3);
    std::map<std::string, at::Tensor> values;
    for (const OptimizedParameter& p : adapters.method->trainable()) values[p.name] = p.tensor.detach();
    const at::NoGradGuard noGrad;
    for (const OptimizedParameter& p : lora.method->trainable()) {
      std::string name = p.name;
      if (const size_t at = name.find("lora_A"); at != std::string::npos) name.replace(at, 6, "adapter_down");
      if (const size_t at = name.find("lora_B"); at != std::string::npos) name.replace(at, 6, "adapter_up");
      p.tensor.detach().copy_(values.at(name));
    }
    QVERIFY(at::allclose(lora.logits(), adapters.logits(), 1e-10, 1e-12));
  }

  // Prefix keys have no positions: their order means nothing.
  void theOrderOfAPrefixMeansNothing() {
    for (const char* family : {"llama", "gpt2", "bert"})
      for (const auto& [name, config] : families()) {
        if (name != family) continue;
        Training training(config, settingsOf("prefix", {{"virtual_tokens", 5}}), at::kDouble);
        const at::Tensor before = training.logits();
        const at::NoGradGuard noGrad;
        at::Tensor table = training.method->trainable().front().tensor.detach();
        table.copy_(table.index_select(0, at::tensor({3, 0, 4, 2, 1}, at::kLong)));
        QVERIFY(at::allclose(training.logits(), before, 1e-10, 1e-12));
        table.mul_(1.5);
        QVERIFY(!at::allclose(training.logits(), before, 1e-6, 1e-8));
      }
  }

  // R Rᵀ = I after a thousand steps, in the precision that trains; and R·(what it makes of h) = U h + b.
  void editsStayOrthonormal() {
    MethodSettings settings = settingsOf("loreft", {{"positions", "f3+l3"}});
    Training training(families().front().second, settings, at::kFloat);
    training.run(0, 1000);
    for (const auto& [name, tensor] : training.method->adapterTensors()) {
      if (!name.ends_with("rotate_layer.weight")) continue;
      const at::Tensor product = tensor.t().mm(tensor);
      QVERIFY2(at::allclose(product, at::eye(3), 0, 2e-6), name.c_str());
      const at::Tensor u = training.method->adapterTensors().at(name.substr(0, name.size() - 19) + "learned_source.weight");
      const at::Tensor b = training.method->adapterTensors().at(name.substr(0, name.size() - 19) + "learned_source.bias");
      const at::Tensor h = normalTensor({5, 24}, "h", 1, at::kFloat);
      const at::Tensor edited = h + (at::linear(h, u, b) - h.mm(tensor)).mm(tensor.t());
      QVERIFY(at::allclose(edited.mm(tensor), at::linear(h, u, b), 1e-4, 1e-4));
    }
  }

  // Rows that no position names are untouched at the edited layer.
  void onlyTheNamedPositionsAreEdited() {
    MethodSettings settings = settingsOf("direft", {{"positions", "f2+l1"}});
    settings.layersToTransform = {"2"};  // the last block: nothing mixes rows behind it
    Training training(families().front().second, settings, at::kDouble, HeadKind::CausalLm);
    disturb(*training.method, 0.5);
    const auto base = randomModel(families().front().second, HeadKind::CausalLm, at::kDouble);
    PackedBatch batch = batchOf({9, 3}, HeadKind::CausalLm);
    batch.prompts = {6, 3};
    const at::NoGradGuard noGrad;
    ForwardContext context;
    const at::Tensor changed =
        (training.model->hidden(batch, context) - base->hidden(batch, context)).abs().amax(1).gt(1e-9);
    // Of six tokens the first two and the last; of three, each end has one at most.
    const at::Tensor wanted = at::tensor({1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1}, at::kLong).to(at::kBool);
    QVERIFY(at::equal(changed, wanted));
  }

  // The reflectors stand for the whole orthogonal matrix.
  void aBaseIsCompleted() {
    const at::Tensor square = std::get<0>(at::linalg_qr(normalTensor({9, 9}, "square")));
    const OrthogonalBase whole = OrthogonalBase::completing(square);
    QVERIFY(at::allclose(whole.times(at::eye(9, at::kDouble)), square, 0, 1e-12));
    const OrthogonalBase some = OrthogonalBase::completing(square.narrow(1, 0, 3).contiguous());
    const at::Tensor completed = some.times(at::eye(9, at::kDouble));
    QVERIFY(at::allclose(completed.narrow(1, 0, 3), square.narrow(1, 0, 3), 0, 1e-12));
    QVERIFY(at::allclose(completed.t().mm(completed), at::eye(9, at::kDouble), 0, 1e-12));
  }
};

QTEST_GUILESS_MAIN(MethodsInsertedLaws)
#include "inserted_laws.moc"

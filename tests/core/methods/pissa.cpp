// PiSSA: the start is the principal part of the weight, balanced and taken out of it; files with and without the start.

#include <QtTest/QtTest>

#include <fstream>

#include "core/io/safetensors_writer.h"
#include "core/methods/adapter_file.h"
#include "core/methods/peft_format.h"
#include "core/methods/registry.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

class Pissa : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // METHODS 12: base + s B A = W, and A Aᵀ = BᵀB = Σ/s with the leading singular values.
  void theStartIsThePrincipalPart_data() {
    QTest::addColumn<int>("iterations");
    QTest::newRow("whole") << 0;
    QTest::newRow("sketched") << 16;
  }
  void theStartIsThePrincipalPart() {
    QFETCH(int, iterations);
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      const double tolerance = dtype == at::kFloat ? 2e-5 : 1e-10;
      FakeModel model({dtype}), plain({dtype});
      const MethodSettings s = smallSettings("pissa", {{"svd_iterations", iterations}});
      auto method = attached(model, s);
      QVERIFY(worstDifference(logitsOf(model), logitsOf(plain)) < tolerance);
      for (const FactorPair& pair : method->factorPairs()) {
        const at::Tensor a = pair.A.detach(), b = pair.B.detach();
        const at::Tensor original = plain.site(pair.site->name).weight;
        QVERIFY(worstDifference(pair.site->weight + b.mm(a) * pair.scaling, original) < 1e-6);
        const at::Tensor sigma = at::linalg_svdvals(original).narrow(0, 0, 3) / pair.scaling;
        QVERIFY(worstDifference(a.mm(a.t()), at::diag(sigma)) < tolerance);
        QVERIFY(worstDifference(b.t().mm(b), at::diag(sigma)) < tolerance);
      }
      FakeModel again({dtype});
      const auto twice = attached(again, s)->factorPairs(), once = method->factorPairs();
      for (size_t i = 0; i < once.size(); ++i) QVERIFY(at::equal(once[i].A.detach(), twice[i].A.detach()));
    }
  }

  // Balanced factors: RefLoRA's S is the identity, so its step is the plain one.
  void balancedFactorsNeedNoPreconditioner() {
    FakeTraining plain(smallSettings("pissa"), {.dtype = at::kDouble});
    FakeTraining balanced(smallSettings("pissa", {{"rule", "reflora"}, {"warmup_steps", 0}}), {.dtype = at::kDouble});
    for (FakeTraining* training : {&plain, &balanced}) {
      training->backward(0);
      training->method->beforeStep(training->infoOf(0), *training->optimizer);
    }
    const auto left = plain.method->factorPairs(), right = balanced.method->factorPairs();
    for (size_t i = 0; i < left.size(); ++i) {
      QVERIFY(worstDifference(left[i].A.grad(), right[i].A.grad()) < 1e-10);
      QVERIFY(worstDifference(left[i].B.grad(), right[i].B.grad()) < 1e-10);
    }
  }

  // What is saved is plain LoRA of twice the rank against the original weight, as PEFT's conversion writes it.
  void savedAsLoraOfTwiceTheRank() {
    FakeModel model, other;
    auto method = attached(model, smallSettings("pissa"));
    disturb(*method);
    const auto config = method->adapterConfig(model, "base");
    QCOMPARE(config["r"], nlohmann::json(6));
    QCOMPARE(config["lora_alpha"], nlohmann::json(12));
    QCOMPARE(config["init_lora_weights"], nlohmann::json(true));
    MethodSettings lora = smallSettings("lora");
    lora.rank = 6;
    lora.alpha = 12;
    auto again = attached(other, lora);
    QVERIFY(again->loadAdapterTensors(method->adapterTensors()).ok());
    QVERIFY(worstDifference(logitsOf(model), logitsOf(other)) < 1e-5);
    // And as PiSSA once more, also when the start is not sought because it follows from the file.
    FakeModel third;
    MethodSettings follows = smallSettings("pissa");
    follows.stateFollows = true;
    auto back = attached(third, follows);
    QVERIFY(back->loadAdapterTensors(method->adapterTensors()).ok());
    QVERIFY(at::equal(logitsOf(third), logitsOf(model)));
  }

  // PEFT's own folder without conversion: factors of rank r whose base is the residual.
  void importedWithoutConversion() {
    FakeModel model, other;
    auto method = attached(model, smallSettings("pissa"));
    disturb(*method);
    NamedTensors tensors;
    for (const auto& [name, tensor] : method->adapterTensors()) {
      at::Tensor value = tensor.detach().clone();
      if (name.ends_with(".lora_A.weight")) value = value.narrow(0, 0, 3).contiguous();
      if (name.ends_with(".lora_B.weight")) value = value.narrow(1, 0, 3).contiguous();
      tensors.emplace_back(name, value);
    }
    QTemporaryDir dir;
    const std::filesystem::path folder = dir.path().toStdString();
    nlohmann::json config = method->adapterConfig(model, "base");
    config.update({{"r", 3}, {"lora_alpha", 6}, {"init_lora_weights", "pissa"}});
    std::ofstream(folder / "adapter_config.json") << config.dump();
    QVERIFY(writeSafetensors(folder / "adapter_model.safetensors", tensors).ok());
    auto loaded = loadAdapterFolder(folder, other);
    QVERIFY2(loaded.ok(), loaded.ok() ? "" : loaded.error().message().c_str());
    QCOMPARE((*loaded)->settings().name, std::string("pissa"));
    QVERIFY(worstDifference(logitsOf(model), logitsOf(other)) < 1e-5);
    QVERIFY((*loaded)->merge(other).ok());
    QVERIFY(worstDifference(logitsOf(model), logitsOf(other)) < 1e-5);
    config["init_lora_weights"] = "pissa_niter_16";
    std::ofstream(folder / "adapter_config.json") << config.dump();
    const auto adapter = readAdapter(folder);
    QVERIFY(adapter.ok());
    QCOMPARE(adapter->settings.options["svd_iterations"], nlohmann::json(16));
    QCOMPARE(adapter->remarks.size(), size_t{1});
  }

  void whatCannotBeStarted() {
    for (const auto& [rank, alpha, where] : {std::tuple{13, 6.0, "method.rank"}, std::tuple{3, -1.0, "method.alpha"}}) {
      MethodSettings s = smallSettings("pissa");
      s.rank = rank;
      s.alpha = alpha;
      FakeModel model;
      const auto ok = (*makeMethod(s))->attach(model);
      QVERIFY(!ok.ok());
      QCOMPARE(ok.error().where, std::string(where));
    }
  }
};

QTEST_GUILESS_MAIN(Pissa)
#include "pissa.moc"

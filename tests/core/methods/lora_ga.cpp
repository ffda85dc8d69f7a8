// LoRA-GA: the mean gradient that the start follows, its singular vectors, and what seeking it costs and keeps.

#include <QtTest/QtTest>

#include "core/methods/mean_gradient.h"
#include "core/methods/registry.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

// By autograd itself, on weights that require it.
std::map<std::string, at::Tensor> denseGradients(at::ScalarType dtype, bool moreSites = false) {
  FakeModel model({.dtype = dtype, .moreSites = moreSites});
  for (LinearSite* site : model.sites()) site->weight = site->weight.detach().clone().requires_grad_();
  for (uint64_t batch = 0; batch < 2; ++batch) {
    ForwardContext context;
    model.loss(fakeBatch(model, batch), context, 0).backward();
  }
  std::map<std::string, at::Tensor> gradients;
  for (LinearSite* site : model.sites()) gradients[site->name] = site->weight.grad() / 2;
  return gradients;
}

// Support that counts its batches and what it is told.
struct Counted {
  int batches = 0, told = 0;
  int leaveAt = -1;
  std::vector<double> shares;
  StartSupport support(const Model& model, const std::filesystem::path& cache = {}) {
    StartSupport made = fakeSupport(model);
    made.batch = [this, inner = made.batch](int64_t number) {
      ++batches;
      return inner(number);
    };
    made.progress = [this](const std::string& what, double share) {
      shares.push_back(share);
      return !what.empty() && told++ != leaveAt;
    };
    if (!cache.empty()) made.cache = TensorCache(cache, 1 << 20);
    return made;
  }
};

}  // namespace

class LoraGa : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void theMeanGradientIsAutogradsOwn() {
    for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16}) {
      FakeModel model({.dtype = dtype, .moreSites = true});  // convolutions and lookups as well
      for (const NamedTensor& entry : model.parameters().entries()) at::Tensor(entry.tensor).requires_grad_(false);
      auto gradients = meanGradients(model, model.sites(), fakeSupport(model));
      QVERIFY(gradients.ok());
      const auto dense = denseGradients(dtype, true);
      for (size_t i = 0; i < model.sites().size(); ++i) {
        const double tolerance = dtype == at::kDouble ? 1e-14 : dtype == at::kFloat ? 1e-5 : 0.05;
        QVERIFY((*gradients)[i].scalar_type() == (dtype == at::kDouble ? at::kDouble : at::kFloat));
        QVERIFY(relativeDifference((*gradients)[i], dense.at(model.sites()[i]->name)) < tolerance);
        QVERIFY(model.sites()[i]->adapter == nullptr);
      }
      // Nothing else was given a gradient.
      for (const NamedTensor& entry : model.parameters().entries()) QVERIFY(!entry.tensor.grad().defined());
    }
  }

  // METHODS 13: A Aᵀ = BᵀB = ζ² I, and B is orthogonal to the r leading left vectors.
  void theStartIsOrthogonal() {
    FakeModel model({at::kDouble}), base({at::kDouble});
    auto method = attached(model, smallSettings("lora_ga"));
    QVERIFY(worstDifference(logitsOf(model), logitsOf(base)) < 1e-12);
    const auto dense = denseGradients(at::kDouble);
    int looked = 0;
    for (const FactorPair& pair : method->factorPairs()) {
      const at::Tensor a = pair.A.detach(), b = pair.B.detach();
      QCOMPARE(pair.scaling, 6 / std::sqrt(3.0));
      const double zeta = std::pow(static_cast<double>(b.size(0)), 0.25) / 4;
      QVERIFY(worstDifference(a.mm(a.t()), zeta * zeta * at::eye(3, at::kDouble)) < 1e-12);
      QVERIFY(worstDifference(b.t().mm(b), zeta * zeta * at::eye(3, at::kDouble)) < 1e-12);
      QVERIFY(worstDifference(pair.site->weight + pair.scaling * b.mm(a), base.site(pair.site->name).weight) < 1e-13);
      const auto [u, s, vh] = at::linalg_svd(dense.at(pair.site->name));
      // Behind the last block the pooled classes leave a gradient of rank 2, whose further vectors are any.
      if (s[5].item<double>() < 1e-6 * s[0].item<double>()) continue;
      ++looked;
      const double along = u.narrow(1, 0, 3).t().mm(b).abs().max().item<double>();
      QVERIFY2(along < 1e-11, fmt::format("{}: {}", pair.site->name, along).c_str());
      QVERIFY(worstDifference((vh.narrow(0, 0, 3).mm(a.t()) / zeta).abs(), at::eye(3, at::kDouble)) < 1e-11);
    }
    QVERIFY(looked >= 2);
  }

  void theOtherScales() {
    const auto factors = [](const nlohmann::json& options) {
      auto model = std::make_unique<FakeModel>(FakeModelOptions{at::kDouble});
      auto method = attached(*model, smallSettings("lora_ga", options));
      const FactorPair pair = method->factorPairs().front();
      return std::tuple(sizeOf(pair.A) / std::sqrt(3.0), sizeOf(pair.B) / std::sqrt(3.0), pair.scaling);
    };
    const auto [unitA, unitB, s] = factors({{"start_scale", "unit"}});
    QVERIFY(std::abs(unitA - 1) < 1e-12 && std::abs(unitB - 1) < 1e-12);
    const auto [gdA, gdB, s2] = factors({{"start_scale", "gd"}});
    QVERIFY(std::abs(gdA - 1 / s) < 1e-12 && std::abs(gdB - 1 / s) < 1e-12);
    const auto [weightA, weightB, s3] = factors({{"start_scale", "weightS"}});
    FakeModel base({at::kDouble});
    const double mean = (at::linalg_svdvals(base.sites().front()->weight).narrow(0, 0, 3) / s).sqrt().mean().item<double>();
    QVERIFY(std::abs(weightA - mean) < 1e-12 && std::abs(weightB - mean) < 1e-12);
    const auto [peftA, peftB, s4] = factors({{"start_variant", "peft"}, {"start_scale", "unit"}});
    const at::Tensor sigma = at::linalg_svdvals(denseGradients(at::kDouble).at(base.sites().front()->name)).narrow(0, 3, 3);
    QVERIFY(std::abs(peftA - 1) < 1e-12 && std::abs(peftB - sizeOf(sigma) / std::sqrt(3.0)) < 1e-12);
  }

  // The second start reads what the first kept, and has the same bits without a pass.
  void aSecondStartIsReadFromTheCache() {
    for (const char* name : {"lora_ga", "qlora"}) {
      QTemporaryDir folder;
      const std::filesystem::path cache = folder.path().toStdString();
      MethodSettings s = smallSettings(name, {{"init", "lora_ga"}});
      const auto start = [&](const MethodSettings& settings, uint64_t seed, Counted& counted) {
        FakeModelOptions options;
        options.seed = seed;
        FakeModel model(options);
        return copiesOf(attached(model, settings, counted.support(model, cache))->adapterTensors());
      };
      Counted first, second, otherWeights, otherRank, damaged;
      const auto one = start(s, 1, first), two = start(s, 1, second);
      QCOMPARE(first.batches, 4);   // for the key, and for the gradients
      QCOMPARE(second.batches, 2);  // for the key
      QCOMPARE(firstDifference(one, two), std::string());
      QVERIFY(first.told > second.told);
      start(s, 2, otherWeights);
      QCOMPARE(otherWeights.batches, 4);
      MethodSettings more = s;
      more.rank = 4;
      start(more, 1, otherRank);
      QCOMPARE(otherRank.batches, 4);
      for (const auto& entry : std::filesystem::directory_iterator(cache)) std::filesystem::resize_file(entry.path(), 100);
      QCOMPARE(firstDifference(one, start(s, 1, damaged)), std::string());
      QCOMPARE(damaged.batches, 4);
    }
  }

  // PiSSA's triplets likewise; a start that was left goes on where it was.
  void aStartThatWasLeftGoesOn() {
    QTemporaryDir folder;
    const std::filesystem::path cache = folder.path().toStdString();
    FakeModel model, again, fresh;
    Counted left, rest, none;
    left.leaveAt = 2;  // before the third of four sites
    auto method = *makeMethod(smallSettings("pissa"));
    method->supportStart(left.support(model, cache));
    const auto gone = method->attach(model);
    QVERIFY(!gone && gone.error().code == ErrorCode::Interrupted);
    const auto kept = [&] { return std::distance(std::filesystem::directory_iterator(cache), {}); };
    QCOMPARE(kept(), 2);
    const auto with = attached(again, smallSettings("pissa"), rest.support(again, cache));
    QCOMPARE(kept(), 4);
    const auto without = attached(fresh, smallSettings("pissa"), none.support(fresh));
    QCOMPARE(firstDifference(copiesOf(with->adapterTensors()), copiesOf(without->adapterTensors())), std::string());
    QCOMPARE(rest.shares, (std::vector<double>{0, 0.25, 0.5, 0.75}));
  }

  void leavingBetweenBatches() {
    FakeModel model;
    Counted counted;
    counted.leaveAt = 1;
    auto method = *makeMethod(smallSettings("lora_ga"));
    method->supportStart(counted.support(model));
    const auto gone = method->attach(model);
    QVERIFY(!gone && gone.error().code == ErrorCode::Interrupted);
    QCOMPARE(counted.batches, 3);  // two for the key
    for (const LinearSite* site : model.sites()) QVERIFY(site->adapter == nullptr);
  }

  // What is loaded next is not sought, and needs no data.
  void whatFollowsIsNotSought() {
    FakeModel trained, follows;
    const MethodSettings s = smallSettings("lora_ga");
    auto method = attached(trained, s);
    disturb(*method);
    MethodSettings next = s;
    next.stateFollows = true;
    Counted counted;
    StartSupport noData = counted.support(follows);
    noData.batches = 0;
    auto back = attached(follows, next, std::move(noData));
    QVERIFY(back->loadAdapterTensors(method->adapterTensors()).ok());
    QCOMPARE(counted.batches + counted.told, 0);
    QVERIFY(at::equal(logitsOf(trained), logitsOf(follows)));
    // A plain LoRA of twice the rank for everybody else.
    FakeModel other;
    MethodSettings lora = smallSettings("rora");
    lora.rank = 6;
    lora.alpha = 6 * std::sqrt(2.0);
    QCOMPARE(method->adapterConfig(trained, "base")["r"], nlohmann::json(6));
    auto plain = attached(other, lora);
    QVERIFY(plain->loadAdapterTensors(method->adapterTensors()).ok());
    QVERIFY(worstDifference(logitsOf(other), logitsOf(trained)) < 1e-4);
  }

  void whatCannotBeStarted() {
    const auto refused = [](const MethodSettings& s, int64_t batches) {
      FakeModel model;
      auto method = *makeMethod(s);
      StartSupport support = fakeSupport(model);
      support.batches = batches;
      method->supportStart(std::move(support));
      const auto done = method->attach(model);
      return done ? std::string() : done.error().where;
    };
    QCOMPARE(refused(smallSettings("lora_ga"), 0), std::string("method.init"));
    MethodSettings high = smallSettings("lora_ga");
    high.rank = 7;  // 14 vectors of a matrix that has 12
    QCOMPARE(refused(high, 2), std::string("method.rank"));
    QCOMPARE(refused(smallSettings("lora_ga", {{"start_direction", "random"}}), 2), std::string("method.start_direction"));
    QCOMPARE(refused(smallSettings("lora_ga", {{"start_gamma", 0}}), 2), std::string("method.start_gamma"));
  }
};

QTEST_GUILESS_MAIN(LoraGa)
#include "lora_ga.moc"

// Properties that every encoder family has, on small random models with every option: a packed batch is its sequences one
// by one, gradients are the derivatives, recomputation changes no bit, bfloat16 is near float32, what is saved loads as
// the same, every site carries an adapter and merges it.

#include "encoder_configs.h"

#include <ATen/Parallel.h>

#include "core/io/safetensors_writer.h"
#include "kernels/ops.h"
#include "tests/core/models/four_bit_sites.h"

using namespace rankscope;
using namespace rankscope::testing;

namespace {

// A plain low-rank adapter without dropout.
class TestAdapter final : public SiteAdapter {
 public:
  TestAdapter(int64_t out, int64_t in, uint64_t seed) {
    auto generator = at::detail::createCPUGenerator(seed);
    m_a = at::empty({2, in}).normal_(0, 0.3, generator);
    m_b = at::empty({out, 2}).normal_(0, 0.3, generator);
  }
  at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext&) const override {
    if (site.operation != SiteOperation::Linear)
      return site.baseForward(x) + site.spread(site.through(x, m_a), m_b) * 0.5;
    return kernels::loraLinear(x, site.weight, site.bias, m_a, m_b, 0.5, 0, 0, 0);
  }
  at::Tensor deltaWeight() const override { return m_b.mm(m_a) * 0.5; }
  std::optional<LowRankTerm> lowRankTerm() const override { return LowRankTerm{m_a, m_b, 0.5, 0}; }

 private:
  at::Tensor m_a, m_b;
};

}  // namespace

class EncoderFamilies : public QObject {
  Q_OBJECT
 private:
  void everyModel() {
    QTest::addColumn<QString>("config");
    QTest::addColumn<int>("head");
    for (const auto& [name, config] : configs())
      for (const auto& [title, head] : kHeads)
        QTest::newRow(qPrintable(QString("%1, %2").arg(name.c_str(), title)))
            << QString::fromStdString(config.dump()) << static_cast<int>(head);
  }
  static std::pair<json, HeadKind> row() {
    QFETCH(QString, config);
    QFETCH(int, head);
    return {json::parse(config.toStdString()), static_cast<HeadKind>(head)};
  }
  static int64_t typesOf(const json& config) {
    return config["model_type"] == "mpnet" ? 0 : config["type_vocab_size"].get<int64_t>();
  }

 private Q_SLOTS:
  // Threads that wait for each other cost more than these small models; only where sequences are spread do they count.
  void init() { at::set_num_threads(QByteArray(QTest::currentTestFunction()) == "packedIsOneByOne" ? 2 : 1); }

  void packedIsOneByOne_data() { everyModel(); }
  void packedIsOneByOne() {
    const auto [config, head] = row();
    const auto model = made(config, head);
    const auto batch = batchFor(head, typesOf(config));
    at::NoGradGuard off;
    ForwardContext context;
    const auto together = model->logits(batch, context);
    std::vector<at::Tensor> alone, states;
    for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
      alone.push_back(model->logits(oneOf(batch, s), context));
      states.push_back(model->hidden(oneOf(batch, s), context));
    }
    QVERIFY(worst(together, at::cat(alone)) < 2e-5);
    QVERIFY(worst(model->hidden(batch, context), at::cat(states)) < 1e-5);
    QCOMPARE(model->hiddenStates(batch, context).size(), size_t{3});
    QVERIFY(at::equal(model->hiddenStates(batch, context).back(), model->hidden(batch, context)));
    if (head == HeadKind::SequenceClassification) return;
    const auto rows = at::tensor({1, 7, 8, 21}, at::kLong);
    QVERIFY(worst(model->logitsAt(batch, rows, context), together.index_select(0, rows)) < 2e-5);
  }

  void recomputationChangesNoBit_data() { everyModel(); }
  void recomputationChangesNoBit() {
    const auto [config, head] = row();
    const auto model = made(config, head);
    const auto batch = batchFor(head, typesOf(config));
    trainEverything(*model);
    std::vector<at::Tensor> gradients[2];
    float losses[2];
    for (const int recompute : {0, 1}) {
      model->gradientCheckpointing = recompute != 0;
      auto context = noisy();
      const auto loss = model->loss(batch, context);
      losses[recompute] = loss.item<float>();
      loss.backward();
      for (const auto& entry : model->parameters().entries()) {
        const auto gradient = entry.tensor.grad();
        gradients[recompute].push_back(gradient.defined() ? gradient.clone() : at::zeros({0}));
        entry.tensor.mutable_grad() = at::Tensor();
      }
    }
    QCOMPARE(losses[0], losses[1]);
    for (size_t i = 0; i < gradients[0].size(); ++i) {
      const auto& name = model->parameters().entries()[i].name;
      QCOMPARE(gradients[0][i].sizes(), gradients[1][i].sizes());
      // What all blocks share sums its parts in another order.
      const bool shared = name.find("encoder.layer.") == std::string::npos || name.find("_proj") != std::string::npos;
      const auto size = gradients[0][i].numel() ? gradients[0][i].abs().max().item<double>() : 0;
      QVERIFY2(shared ? size == 0 || worst(gradients[0][i], gradients[1][i]) <= 1e-5 * size
                      : at::equal(gradients[0][i], gradients[1][i]),
               name.c_str());
    }
  }

  // In float64, dropout on: along a random direction of each parameter the loss changes as its gradient says.
  void gradientsAreDerivatives_data() { everyModel(); }
  void gradientsAreDerivatives() {
    const auto [config, head] = row();
    const auto model = made(config, head, at::kDouble);
    for (const auto& entry : model->parameters().entries())
      model->parameters().replace(entry.name, entry.tensor.to(at::kDouble));
    trainEverything(*model);
    const auto batch = batchFor(head, typesOf(config));
    const auto lossNow = [&] {
      auto context = noisy();
      return model->loss(batch, context);
    };
    const auto loss = lossNow();
    QCOMPARE(loss.scalar_type(), at::kDouble);
    loss.backward();
    at::NoGradGuard off;
    auto generator = at::detail::createCPUGenerator(3);
    for (const auto& entry : model->parameters().entries()) {
      auto tensor = entry.tensor;
      const auto direction = at::empty(tensor.sizes(), at::kDouble).normal_(0, 1, generator);
      if (entry.name.find("word_embeddings") != std::string::npos) direction.select(0, 1).zero_();  // padding's row
      constexpr double kStep = 1e-5;
      tensor.add_(direction, kStep);
      const auto up = lossNow().item<double>();
      tensor.add_(direction, -2 * kStep);
      const auto down = lossNow().item<double>();
      tensor.add_(direction, kStep);
      const auto measured = (up - down) / (2 * kStep);
      const auto computed = tensor.grad().defined() ? (tensor.grad() * direction).sum().item<double>() : 0.0;
      QVERIFY2(std::abs(measured - computed) <= 1e-6 + 2e-5 * std::abs(measured),
               qPrintable(QString("%1: %2 measured, %3 computed").arg(entry.name.c_str()).arg(measured).arg(computed)));
    }
  }

  void bfloat16IsNear_data() { everyModel(); }
  void bfloat16IsNear() {
    const auto [config, head] = row();
    auto calm = config;
    calm["initializer_range"] = 0.2;
    const auto wide = made(calm, head), narrow = made(calm, head, at::kBFloat16);
    const auto batch = batchFor(head, typesOf(config));
    ForwardContext context;
    const auto expected = wide->logits(batch, context).detach(), got = narrow->logits(batch, context).detach();
    QCOMPARE(got.scalar_type(), at::kFloat);
    const auto size = expected.square().mean().sqrt().item<double>();
    const auto error = (expected - got).square().mean().sqrt().item<double>();
    QVERIFY2(error < 0.03 * size, qPrintable(QString("%1 of %2").arg(error).arg(size)));
    const auto losses = std::make_pair(wide->loss(batch, context).item<float>(), narrow->loss(batch, context).item<float>());
    QVERIFY(std::abs(losses.first - losses.second) < 0.03 * (1 + losses.first));
  }

  void savedLoadsAsTheSame_data() { everyModel(); }
  void savedLoadsAsTheSame() {
    auto [config, head] = row();
    const auto model = made(config, head);
    const Folder folder(model->config());
    NamedTensors tensors;
    for (const auto& [name, tensor] : model->parameters().entries()) tensors.emplace_back(name, tensor);
    QVERIFY(writeSafetensors(folder.path() / "model.safetensors", tensors).ok());
    ModelLoadOptions options;
    options.head = head;
    options.numLabels = 3;
    const auto again = loadModel(folder.path(), options);
    QVERIFY2(again.ok(), again.ok() ? "" : again.error().message().c_str());
    QVERIFY((*again)->loadReport().newlyInitialised.empty() && (*again)->loadReport().unused.empty());
    const auto batch = batchFor(head, typesOf(config));
    at::NoGradGuard off;
    ForwardContext context;
    QVERIFY(at::equal(model->logits(batch, context), (*again)->logits(batch, context)));
    QCOMPARE(fourBitSitesProblem(folder.path(), options, batch), QString());
    // Another head on the same file: what is missing is drawn, said, and trains.
    options.head = head == HeadKind::TokenSpan ? HeadKind::MaskedLm : HeadKind::TokenSpan;
    if (config.contains("embedding_size")) return;
    const auto other = loadModel(folder.path(), options);
    QVERIFY(other.ok());
    QVERIFY(!(*other)->loadReport().newlyInitialised.empty());
    QCOMPARE((*other)->headParameters(), (*other)->loadReport().newlyInitialised);
  }

  void sitesCarryAndMergeAdapters_data() { everyModel(); }
  void sitesCarryAndMergeAdapters() {
    const auto [config, head] = row();
    const auto model = made(config, head);
    const auto batch = batchFor(head, typesOf(config));
    at::NoGradGuard off;
    ForwardContext context;
    const auto plain = model->logits(batch, context);
    uint64_t seed = 100;
    for (auto* site : model->sites()) {
      site->adapter = std::make_shared<TestAdapter>(site->outFeatures, site->inFeatures, ++seed);
      QVERIFY2(!at::equal(model->logits(batch, context), plain), site->name.c_str());
      site->adapter.reset();
    }
    for (auto* site : model->sites())
      if (!model->isTied(site->name + ".weight"))
        site->adapter = std::make_shared<TestAdapter>(site->outFeatures, site->inFeatures, ++seed);
    const auto adapted = model->logits(batch, context);
    for (auto* site : model->sites()) {
      if (!site->adapter) continue;
      model->replaceSiteWeight(*site, site->weight + site->adapter->deltaWeight());
      site->adapter.reset();
    }
    model->rebind();
    const auto merged = model->logits(batch, context);
    QVERIFY(worst(adapted, merged) < 1e-4 * (1 + merged.abs().max().item<double>()));
  }
};

QTEST_GUILESS_MAIN(EncoderFamilies)
#include "encoder_families.moc"

// The families against the published implementation's numbers: logits, every hidden state, loss, gradients, with right
// and left padding turned into packed batches; greedy continuation; the real small model.

#include "golden_case.h"

#include <torch/csrc/autograd/autograd.h>

#include "core/models/generate.h"

using namespace rankscope;
using namespace rankscope::testing;

namespace {

std::unique_ptr<Model> loadOrFail(const std::filesystem::path& folder, ModelLoadOptions options) {
  auto model = loadModel(folder, options);
  if (!model) qFatal("%s", model.error().message().c_str());
  return std::move(model).value();
}

#define COMPARE_CLOSE(actual, expected, atol, rtol)                                                       \
  do {                                                                                                    \
    const auto a_ = (actual).to(at::kDouble), e_ = (expected).to(at::kDouble);                            \
    QVERIFY2(a_.sizes() == e_.sizes(), "shapes differ");                                                  \
    const auto excess_ = ((a_ - e_).abs() - (rtol) * e_.abs()).max().item<double>();                      \
    QVERIFY2(excess_ <= (atol), qPrintable(QString("%1: off by %2").arg(#actual).arg(worst(a_, e_))));    \
  } while (false)

}  // namespace

class ModelsParity : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void initTestCase() {
    if (!std::filesystem::exists(sharedFolder() / "reference")) QSKIP("the reference folder is not here");
  }

  void causal_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("recompute");
    for (const char* name : {"llama_gqa", "llama3_rope", "gpt2"})
      for (const bool recompute : {false, true})
        QTest::newRow(qPrintable(QString("%1%2").arg(name, recompute ? " recomputed" : ""))) << QString(name) << recompute;
  }
  void causal() {
    QFETCH(QString, name);
    QFETCH(bool, recompute);
    const GoldenCase golden(name.toStdString());
    auto model = loadOrFail(golden.folder, {});
    QVERIFY(model->loadReport().unused.empty() && model->loadReport().newlyInitialised.empty());
    model->gradientCheckpointing = recompute;
    const auto mask = golden.get("in/attention_mask");
    auto batch = packBatch(golden.get("in/input_ids"), mask);
    batch.labels = shiftedLabels(golden.get("in/labels"), mask);
    ForwardContext context;
    const auto atol = golden.tolerance("logits_atol"), rtol = golden.tolerance("logits_rtol");
    {
      at::NoGradGuard off;
      COMPARE_CLOSE(model->logits(batch, context), packRows(golden.get("out/logits"), mask), atol, rtol);
      const auto states = model->hiddenStates(batch, context);
      QCOMPARE(states.size(), static_cast<size_t>(model->numLayers() + 1));
      for (size_t i = 0; i < states.size(); ++i)
        COMPARE_CLOSE(states[i], packRows(golden.get("out/hidden_states." + std::to_string(i)), mask),
                      golden.tolerance("hidden_atol"), 0.0);
      COMPARE_CLOSE(model->hidden(batch, context), states.back(), 1e-6, 0.0);
      const auto leftMask = golden.get("leftpad/attention_mask");
      const auto left = packBatch(golden.get("leftpad/input_ids"), leftMask);
      COMPARE_CLOSE(model->logits(left, context), packRows(golden.get("leftpad/logits"), leftMask), atol, rtol);
    }
    for (const auto& entry : model->parameters().entries()) {
      auto tensor = entry.tensor;
      tensor.requires_grad_();
    }
    model->rebind();
    context.training = true;
    const auto loss = model->loss(batch, context);
    COMPARE_CLOSE(loss.reshape({1}), golden.get("out/loss"), golden.tolerance("loss_atol"), 0.0);
    loss.backward();
    int compared = 0;
    for (const auto& [key, value] : golden.meta["tensors"].items()) {
      if (key.rfind("grad/", 0) != 0) continue;
      COMPARE_CLOSE(model->parameters().at(key.substr(5)).grad(), golden.get(key), golden.tolerance("grad_atol"),
                    golden.tolerance("grad_rtol"));
      ++compared;
    }
    QCOMPARE(compared, 3);
    // The same weights under a normaliser: the sum divided by it.
    const auto count = batch.labels.ge(0).sum().item<double>();
    COMPARE_CLOSE(model->loss(batch, context, 2 * count), loss / 2, 1e-6, 0.0);
  }

  void onlySomeLabels() {
    const GoldenCase golden("llama_gqa");
    auto model = loadOrFail(golden.folder, {});
    const auto mask = golden.get("in/attention_mask");
    auto batch = packBatch(golden.get("in/input_ids"), mask);
    batch.labels = shiftedLabels(golden.get("in/labels"), mask);
    for (int64_t t = 0; t < batch.labels.size(0); ++t)
      if (t % 3 != 0) batch.labels[t] = -100;
    auto weight = model->parameters().at("model.layers.1.mlp.gate_proj.weight");
    weight.requires_grad_();
    model->rebind();
    ForwardContext context;
    const auto logits = model->logits(batch, context);
    const auto rows = at::nonzero(batch.labels.ge(0)).squeeze(1);
    const auto expected = at::nll_loss(at::log_softmax(logits.index_select(0, rows), -1),
                                       batch.labels.index_select(0, rows));
    const auto grad = torch::autograd::grad({expected}, {weight})[0];
    const auto loss = model->loss(batch, context);
    COMPARE_CLOSE(loss, expected, 1e-5, 0.0);
    COMPARE_CLOSE(torch::autograd::grad({loss}, {weight})[0], grad, 1e-6, 1e-3);
  }

  void oldConfigStyle() {
    const GoldenCase golden("llama3_rope");
    auto config = readJsonFile(golden.folder / "config_v4.json");
    QVERIFY(config.ok());
    const auto family = findModelFamily("llama");
    auto model = (*family)->load(golden.folder, *config, {});
    QVERIFY(model.ok());
    const auto mask = golden.get("in/attention_mask");
    ForwardContext context;
    at::NoGradGuard off;
    COMPARE_CLOSE((*model)->logits(packBatch(golden.get("in/input_ids"), mask), context),
                  packRows(golden.get("out/logits"), mask), 2e-4, 1e-3);
  }

  void encoders_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("recompute");
    for (const char* name : {"bert", "roberta_cls", "roberta_mlm", "deberta_v2", "deberta_v3"})
      for (const bool recompute : {false, true})
        QTest::newRow(qPrintable(QString("%1%2").arg(name, recompute ? " recomputed" : ""))) << QString(name) << recompute;
  }
  void encoders() {
    QFETCH(QString, name);
    QFETCH(bool, recompute);
    const GoldenCase golden(name.toStdString());
    ModelLoadOptions options;
    options.head = name.endsWith("_mlm") ? HeadKind::MaskedLm : HeadKind::SequenceClassification;
    options.numLabels = 3;
    auto model = loadOrFail(golden.folder, options);
    QVERIFY(model->loadReport().unused.empty() && model->loadReport().newlyInitialised.empty());
    model->gradientCheckpointing = recompute;
    const auto mask = golden.get("in/attention_mask");
    auto batch = packBatch(golden.get("in/input_ids"), mask);
    const auto& tensors = golden.meta["tensors"];
    if (tensors.contains("in/token_type_ids")) batch.tokenTypeIds = packRows(golden.get("in/token_type_ids"), mask);
    const bool perToken = options.head == HeadKind::MaskedLm;
    batch.labels = perToken ? packRows(golden.get("in/labels"), mask) : golden.get("in/labels");
    ForwardContext context;
    {
      at::NoGradGuard off;
      const auto logits = golden.get("out/logits");
      COMPARE_CLOSE(model->logits(batch, context), perToken ? packRows(logits, mask) : logits,
                    golden.tolerance("logits_atol"), golden.tolerance("logits_rtol"));
      const auto states = model->hiddenStates(batch, context);
      QCOMPARE(states.size(), static_cast<size_t>(model->numLayers() + 1));
      for (size_t i = 0; i < states.size(); ++i)
        COMPARE_CLOSE(states[i], packRows(golden.get("out/hidden_states." + std::to_string(i)), mask),
                      golden.tolerance("hidden_atol"), 0.0);
    }
    for (const auto& entry : model->parameters().entries()) {
      auto tensor = entry.tensor;
      tensor.requires_grad_();
    }
    model->rebind();
    context.training = true;
    const auto loss = model->loss(batch, context);
    COMPARE_CLOSE(loss.reshape({1}), golden.get("out/loss"), golden.tolerance("loss_atol"), 0.0);
    loss.backward();
    int compared = 0;
    for (const auto& [key, value] : tensors.items())
      if (key.rfind("grad/", 0) == 0) {
        COMPARE_CLOSE(model->parameters().at(key.substr(5)).grad(), golden.get(key), golden.tolerance("grad_atol"),
                      golden.tolerance("grad_rtol"));
        ++compared;
      }
    QCOMPARE(compared, 3);
  }

  void greedy() {
    for (const char* name : {"llama_gqa", "llama3_rope", "gpt2"}) {
      const GoldenCase golden(name);
      auto model = loadOrFail(golden.folder, {});
      const auto prompt = golden.get("generate/prompt").reshape(-1), expected = golden.get("generate/greedy").reshape(-1);
      GenerateOptions options;
      options.maxNewTokens = expected.size(0) - prompt.size(0);
      options.stopTokens = {2};
      const auto out = generate(*model, {{prompt.data_ptr<int64_t>(), prompt.data_ptr<int64_t>() + prompt.size(0)}}, options);
      QVERIFY(out.ok());
      const std::vector<int64_t> want(expected.data_ptr<int64_t>() + prompt.size(0),
                                      expected.data_ptr<int64_t>() + expected.size(0));
      QCOMPARE((*out)[0].tokens, want);
    }
  }

  void stories() {
    const auto folder = sharedFolder() / "data/models/stories260K";
    if (!std::filesystem::exists(folder)) QSKIP("the small real model is not here");
    auto model = loadOrFail(folder / "hf", {});
    const auto reference = readJsonFile(folder / "reference.json");
    QVERIFY(reference.ok());
    const auto& greedy = (*reference)["greedy_200"];
    const auto ids = greedy["ids"].get<std::vector<int64_t>>();
    GenerateOptions options;
    options.maxNewTokens = static_cast<int64_t>(ids.size()) - 1;
    const auto out = generate(*model, {{ids[0]}, {ids[0]}}, options);
    QVERIFY(out.ok());
    for (const auto& one : *out) QCOMPARE(one.tokens, std::vector<int64_t>(ids.begin() + 1, ids.end()));
  }
};

QTEST_GUILESS_MAIN(ModelsParity)
#include "models_parity.moc"

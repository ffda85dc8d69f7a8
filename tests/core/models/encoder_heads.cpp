// Heads of encoders: what a checkpoint lacks is drawn and trains, answer spans, scores of masked tokens, configurations
// that are refused.

#include "encoder_configs.h"

#include "core/io/safetensors_writer.h"
#include "core/models/masked_scoring.h"

using namespace rankscope;
using namespace rankscope::testing;

class EncoderHeads : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void aNewPoolerTrains() {
    const auto model = made(deberta({{"position_buckets", 4}}), HeadKind::SequenceClassification);
    const Folder folder(model->config());
    NamedTensors tensors;
    for (const auto& [name, tensor] : model->parameters().entries())
      if (name.rfind("deberta.", 0) == 0) tensors.emplace_back(name.substr(8), tensor);  // as the bare encoder is saved
    QVERIFY(writeSafetensors(folder.path() / "model.safetensors", tensors).ok());
    ModelLoadOptions options;
    options.head = HeadKind::SequenceClassification;
    const auto loaded = loadModel(folder.path(), options);
    QVERIFY2(loaded.ok(), loaded.ok() ? "" : loaded.error().message().c_str());
    const std::vector<std::string> head{"pooler.dense.weight", "pooler.dense.bias", "classifier.weight",
                                        "classifier.bias"};
    QCOMPARE((*loaded)->headParameters(), head);
    QCOMPARE((*loaded)->loadReport().newlyInitialised, head);
    QCOMPARE(model->headParameters(), (std::vector<std::string>{"classifier.weight", "classifier.bias"}));
  }

  void spans() {
    const auto model = made(tiny("roberta"), HeadKind::TokenSpan);
    auto batch = batchFor(HeadKind::TokenSpan, 2);
    ForwardContext context;
    const auto logits = model->logits(batch, context).detach();
    QCOMPARE(logits.sizes(), (at::IntArrayRef{22, 2}));
    double expected[2] = {0, 0};
    for (size_t s = 0; s < 4; ++s)
      for (const int64_t end : {0, 1}) {
        const auto own = logits.narrow(0, batch.starts[s], batch.starts[s + 1] - batch.starts[s]).select(1, end);
        expected[end] -= at::log_softmax(own, 0)[batch.labels[static_cast<int64_t>(s)][end].item<int64_t>()].item<double>();
      }
    QVERIFY(std::abs(model->loss(batch, context).item<double>() - (expected[0] + expected[1]) / 8) < 1e-5);
    QVERIFY(std::abs(model->loss(batch, context, 5.0).item<double>() - (expected[0] + expected[1]) / 10) < 1e-5);
    // A sequence without an answer, and an answer that was cut off, ask for nothing.
    batch.labels[0][0] = -1;
    batch.labels[2][1] = 10;
    const auto term = [&](size_t s, int64_t end) {
      const auto own = logits.narrow(0, batch.starts[s], batch.starts[s + 1] - batch.starts[s]).select(1, end);
      return -at::log_softmax(own, 0)[batch.labels[static_cast<int64_t>(s)][end].item<int64_t>()].item<double>();
    };
    const auto some = (term(1, 0) + term(2, 0) + term(3, 0)) / 6 + (term(0, 1) + term(1, 1) + term(3, 1)) / 6;
    QVERIFY(std::abs(model->loss(batch, context).item<double>() - some) < 1e-5);
    batch.labels.fill_(-1);
    QCOMPARE(model->loss(batch, context).item<double>(), 0.0);
    batch.labels = at::zeros({4}, at::kLong);
    QVERIFY_EXCEPTION_THROWN(model->loss(batch, context), ErrorException);
  }

  void maskedScores() {
    const auto path = sharedFolder() / "reference/golden/metrics/pll_roberta_mlm.json";
    if (!std::filesystem::exists(path)) QSKIP("the reference folder is not here");
    const auto golden = readJsonFile(path);
    QVERIFY(golden.ok());
    std::vector<MaskedText> texts;
    for (const auto& one : (*golden)["rows"]) texts.push_back({one["input_ids"].get<std::vector<int64_t>>(), {}, {}});
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      ModelLoadOptions load;
      load.head = HeadKind::MaskedLm;
      load.dtype = dtype;
      auto model = loadModel(sharedFolder() / "reference/golden/models/roberta_mlm", load);
      QVERIFY(model.ok());
      const double tolerance =
          (*golden)["tolerance"][dtype == at::kDouble ? "float64" : "default"]["atol"].get<double>();
      for (const int64_t tokensPerPass : {8192, 30}) {
        MaskedScoringOptions options;
        options.maskId = (*golden)["mask_id"].get<int64_t>();
        options.tokensPerPass = tokensPerPass;
        const auto scores = scoreMasked(**model, texts, options);
        QVERIFY(scores.ok());
        QCOMPARE(scores->size(), texts.size());
        for (size_t i = 0; i < texts.size(); ++i) {
          const auto& want = (*golden)["rows"][i];
          const auto logs = want["token_log_probabilities"].get<std::vector<double>>();
          QCOMPARE((*scores)[i].logProbabilities.size(), logs.size());
          for (size_t t = 0; t < logs.size(); ++t)
            QVERIFY(std::abs((*scores)[i].logProbabilities[t] - logs[t]) < tolerance);
          QVERIFY(std::abs((*scores)[i].sum() - want["pll"].get<double>()) < tolerance * 10);
          QVERIFY(std::abs((*scores)[i].pseudoLoss() - want["pseudo_loss"].get<double>()) < tolerance);
        }
      }
    }
  }

  void maskedScoresRefuse() {
    const auto model = made(tiny("roberta"), HeadKind::MaskedLm);
    MaskedScoringOptions options;
    options.maskId = 39;
    const MaskedText good{{0, 5, 6, 2}, {0, 0, 1, 1}, {2}};
    QCOMPARE((*scoreMasked(*model, {good}, options))[0].logProbabilities.size(), size_t{1});
    for (const auto& bad : {MaskedText{{}, {}, {}}, MaskedText{{0, 5}, {0}, {}}, MaskedText{{0, 5}, {}, {2}},
                            MaskedText{{0, 99, 2}, {}, {}}}) {
      const auto result = scoreMasked(*model, {good, bad}, options);
      QVERIFY(!result.ok());
      QVERIFY(!result.error().hint.empty());
    }
    options.cancel = [] { return true; };
    QVERIFY(scoreMasked(*model, {good}, options).error().code == ErrorCode::Interrupted);
    options.maskId = 40;
    QVERIFY(!scoreMasked(*model, {good}, options).ok());
    options.maskId = 39;
    QVERIFY(!scoreMasked(*made(tiny("roberta"), HeadKind::TokenSpan), {good}, options).ok());
  }

  void wrongConfigurations_data() {
    QTest::addColumn<QString>("type");
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    const auto add = [](const char* type, const char* key, const char* value) {
      QTest::newRow(qPrintable(QString("%1 %2 %3").arg(type, key, value))) << type << key << value;
    };
    for (const char* type : {"bert", "roberta", "mpnet", "deberta-v2"}) {
      add(type, "num_attention_heads", "5");
      add(type, "hidden_act", "\"laplace\"");
      add(type, "position_embedding_type", "\"relative_key\"");
      add(type, "is_decoder", "true");
      add(type, "type_vocab_size", "-1");
    }
    add("roberta", "max_position_embeddings", "2");
    add("mpnet", "relative_attention_num_buckets", "16");
    add("deberta-v2", "position_buckets", "1");
    add("deberta-v2", "pos_att_type", "\"p2p\"");
    add("deberta-v2", "pos_att_type", "[3]");
    add("deberta-v2", "conv_kernel_size", "4");
    add("deberta-v2", "conv_groups", "5");
    add("deberta-v2", "attention_head_size", "7");
    add("deberta-v2", "pooler_hidden_size", "13");
    add("deberta-v2", "norm_rel_ebd", "1");
  }
  void wrongConfigurations() {
    QFETCH(QString, type);
    QFETCH(QString, key);
    QFETCH(QString, value);
    auto config = tiny(qPrintable(type));
    config[key.toStdString()] = json::parse(value.toStdString());
    const Folder folder(config);
    ModelLoadOptions options;
    options.head = HeadKind::SequenceClassification;
    options.randomInit = true;
    const auto model = loadModel(folder.path(), options);
    QVERIFY(!model.ok());
    QVERIFY(model.error().message().find(key.toStdString()) != std::string::npos);
    QVERIFY(!model.error().hint.empty());
    options.head = HeadKind::CausalLm;
    QVERIFY(!loadModel(Folder(tiny(qPrintable(type))).path(), options).ok());
  }
};

QTEST_GUILESS_MAIN(EncoderHeads)
#include "encoder_heads.moc"

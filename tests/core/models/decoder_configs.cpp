// Decoders' configurations: whatever is unknown or contradicts itself is refused by name; angles of scaled rotary
// positions.

#include "tests/core/models/decoder_configs.h"

#include <ATen/ATen.h>
#include <QtTest/QtTest>

#include "core/models/registry.h"
#include "core/models/rope.h"

using namespace rankscope;
using namespace rankscope::testing;
using nlohmann::json;

class DecoderConfigs : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void rotation() {
    RopeSettings rope;
    rope.kind = "dynamic";
    rope.factor = 4;
    rope.originalMaxPositions = 16;
    rope.theta = 100;
    // Each sequence has the angles of its own length, whatever lies beside it.
    const RotaryTables tables(rope, 8);
    const auto longOne = at::arange(40, at::kLong), shortOne = at::arange(10, at::kLong);
    const auto both = tables.at(at::cat({shortOne, longOne}), {0, 10, 50});
    QVERIFY(at::equal(both.first.narrow(0, 0, 10), tables.at(shortOne, {0, 10}).first));
    QVERIFY(at::equal(both.first.narrow(0, 10, 40), tables.at(longOne, {0, 40}).first));
    QVERIFY(at::equal(inverseFrequencies(rope, 8, 16), inverseFrequencies(rope, 8, 3)));
    QVERIFY((inverseFrequencies(rope, 8, 40) - inverseFrequencies(rope, 8, 16)).abs().max().item<double>() > 1e-3);
    QCOMPARE(scaledMaxPositions(rope, 16), int64_t{64});
    rope.kind = "llama3";
    QCOMPARE(scaledMaxPositions(rope, 16), int64_t{16});
  }

  void refusals_data() {
    QTest::addColumn<QByteArray>("config");
    QTest::addColumn<QString>("named");
    const auto add = [](const char* name, json config, const char* named) {
      QTest::newRow(name) << QByteArray::fromStdString(config.dump()) << QString(named);
    };
    add("kv heads", rotary("llama", {{"num_key_value_heads", 3}}), "num_key_value_heads");
    add("odd head", rotary("llama", {{"head_dim", 7}}), "head_dim");
    add("activation", rotary("qwen2", {{"hidden_act", "gelu"}}), "hidden_act");
    add("kind of rotation", rotary("llama", {{"rope_scaling", {{"type", "yarn"}, {"factor", 2.0}}}}), "rope_type");
    add("no factor", rotary("llama", {{"rope_scaling", {{"type", "linear"}}}}), "factor");
    add("two kinds",
        rotary("llama", {{"rope_scaling", {{"type", "linear"}, {"rope_type", "dynamic"}, {"factor", 2.0}}}}), "type");
    add("two thetas", rotary("llama", {{"rope_theta", 5.0}, {"rope_parameters", {{"rope_theta", 6.0}}}}), "rope_theta");
    add("two sections",
        rotary("llama", {{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}},
                         {"rope_parameters", {{"rope_type", "default"}}}}),
        "rope_scaling");
    add("part of a head", rotary("llama", {{"partial_rotary_factor", 0.5}}), "partial_rotary_factor");
    add("rotation per layer", rotary("qwen3", {{"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}}}),
        "full_attention");
    add("llama3 factors",
        rotary("llama",
               {{"rope_scaling",
                 {{"rope_type", "llama3"}, {"factor", 2.0}, {"low_freq_factor", 4.0}, {"high_freq_factor", 1.0}}}}),
        "high_freq_factor");
    add("window", rotary("mistral", {{"sliding_window", 0}}), "sliding_window");
    add("window's type", rotary("mistral", {{"sliding_window", "wide"}}), "sliding_window");
    add("layer types", rotary("qwen2", {{"layer_types", {"full_attention"}}}), "layer_types");
    add("kind of layer", rotary("qwen3", {{"layer_types", {"full_attention", "full_attention", "linear_attention"}}}),
        "layer_types");
    add("sliding without window",
        rotary("qwen2", {{"layer_types", {"full_attention", "full_attention", "sliding_attention"}}}), "layer_types");
    add("quantised", rotary("llama", {{"quantization_config", {{"bits", 4}}}}), "quantization_config");
    add("gpt2 heads", gpt2({{"n_head", 5}}), "n_head");
    add("gpt2 activation", gpt2({{"activation_function", "mish"}}), "activation_function");
    add("gpt2 cross attention", gpt2({{"add_cross_attention", true}}), "add_cross_attention");
    add("gpt2 dropout", gpt2({{"resid_pdrop", 1.5}}), "resid_pdrop");
    add("gpt2 quantised", gpt2({{"quantization_config", {{"bits", 4}}}}), "quantization_config");
  }
  void refusals() {
    QFETCH(QByteArray, config);
    QFETCH(QString, named);
    const Folder folder(json::parse(config.toStdString()));
    ModelLoadOptions options;
    options.randomInit = true;
    const auto model = loadModel(folder.path(), options);
    QVERIFY(!model.ok());
    const auto& error = model.error();
    QVERIFY2(QString::fromStdString(error.what).contains("\"" + named + "\""), error.message().c_str());
    QVERIFY(!error.found.empty() && !error.expected.empty() && !error.hint.empty());
    QVERIFY(QString::fromStdString(error.where).startsWith("config.json"));
  }
};

QTEST_GUILESS_MAIN(DecoderConfigs)
#include "decoder_configs.moc"

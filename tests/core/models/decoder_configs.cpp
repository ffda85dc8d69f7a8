// Decoders' configurations: whatever is unknown or contradicts itself is refused by name; angles of scaled rotary
// positions.

#include "tests/support/random_models.h"

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

  // Frequencies and attention factors of transformers 5.23 for the same settings.
  void stretchedRotations_data() {
    QTest::addColumn<QByteArray>("section");
    QTest::addColumn<int>("length");
    QTest::addColumn<QList<double>>("frequencies");
    QTest::addColumn<double>("attention");
    QTest::addColumn<int>("longest");
    const char* longrope = R"({"rope_type":"longrope","rope_theta":100.0,"short_factor":[1.0,1.1,1.5,2.0],
                              "long_factor":[1.0,2.0,4.0,8.0],"original_max_position_embeddings":16})";
    QTest::newRow("yarn") << QByteArray(R"({"type":"yarn","rope_theta":100.0,"factor":4.0,"original_max_position_embeddings":16})")
                          << 0 << QList<double>{1.0, 0.07905694097280502, 0.02500000037252903, 0.007905694656074047}
                          << 1.138629436111989 << 64;
    QTest::newRow("yarn, its options")
        << QByteArray(R"({"rope_type":"yarn","rope_theta":10000.0,"factor":2.0,"original_max_position_embeddings":64,
                          "beta_fast":8,"beta_slow":2,"truncate":false,"mscale":1.5,"mscale_all_dim":0.5})")
        << 0 << QList<double>{1.0, 0.05000000074505806, 0.004999999888241291, 0.0005000000237487257} << 1.066992920362652 << 128;
    QTest::newRow("longrope, short") << QByteArray(longrope) << 16
                                     << QList<double>{1.0, 0.2874797582626343, 0.06666667014360428, 0.015811389312148094}
                                     << 1.224744871391589 << 64;
    QTest::newRow("longrope, long") << QByteArray(longrope) << 17
                                    << QList<double>{1.0, 0.15811388194561005, 0.02500000037252903, 0.0039528473280370235}
                                    << 1.224744871391589 << 64;
  }
  void stretchedRotations() {
    QFETCH(QByteArray, section);
    QFETCH(int, length);
    QFETCH(QList<double>, frequencies);
    QFETCH(double, attention);
    QFETCH(int, longest);
    const json config{{"rope_scaling", json::parse(section.toStdString())}};
    const RopeSettings rope = readRope(ConfigReader(config, "config.json"), 64, 8);
    const auto inverse = inverseFrequencies(rope, 8, length);
    for (int i = 0; i < 4; ++i) QCOMPARE(inverse[i].item<float>(), static_cast<float>(frequencies[i]));
    QCOMPARE(rope.attentionFactor, attention);
    QCOMPARE(scaledMaxPositions(rope, 64), int64_t{longest});
    // The factor stretches cos and sin alike, at the length of each sequence.
    const auto positions = at::arange(std::max(length, 2), at::kLong);
    const auto [cos, sin] = RotaryTables(rope, 8).at(positions, {0, positions.size(0)});
    QVERIFY((cos.square() + sin.square() - attention * attention).abs().max().item<double>() < 1e-5);
    QCOMPARE(sin[1][3].item<float>(), static_cast<float>(attention) * std::sin(static_cast<float>(frequencies[3])));
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
    add("kind of rotation", rotary("llama", {{"rope_scaling", {{"type", "ntk"}, {"factor", 2.0}}}}), "rope_type");
    const auto scaled = [](json section, json more = json::object()) {
      more["rope_scaling"] = std::move(section);
      return rotary("llama", more);
    };
    add("yarn without factor", scaled({{"type", "yarn"}}), "factor");
    add("yarn's ramp", scaled({{"type", "yarn"}, {"factor", 2.0}, {"beta_fast", 0}}), "beta_fast");
    add("yarn without a base", scaled({{"type", "yarn"}, {"factor", 2.0}}, {{"rope_theta", 1.0}}), "rope_theta");
    add("yarn's attention", scaled({{"type", "yarn"}, {"factor", 2.0}, {"attention_factor", -1}}), "attention_factor");
    const json four = {1.0, 1.0, 2.0, 3.0};
    add("longrope without lists", scaled({{"type", "longrope"}}), "short_factor");
    add("longrope with one list", scaled({{"type", "longrope"}, {"short_factor", four}}), "long_factor");
    add("longrope of other heads", scaled({{"type", "longrope"}, {"short_factor", {1.0, 2.0}}, {"long_factor", four}}),
        "short_factor");
    add("longrope of 0", scaled({{"type", "longrope"}, {"short_factor", four}, {"long_factor", {1.0, 0.0, 2.0, 3.0}}}),
        "long_factor");
    add("longrope of text", scaled({{"type", "longrope"}, {"short_factor", "1 2 3 4"}, {"long_factor", four}}), "short_factor");
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

// golden_check's own behaviour on cases that are malformed, foreign or wrong: a verdict for each, never a crash.

#include <QtTest/QtTest>

#include <fstream>

#include "core/io/safetensors_writer.h"
#include "tests/golden/run.h"

using namespace rankscope;
using namespace rankscope::golden;

class GoldenFormat : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir m_folder;

  std::filesystem::path folder() const { return m_folder.path().toStdString(); }
  void write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((folder() / name).parent_path());
    std::ofstream(folder() / name) << content;
  }
  Outcome::Kind verdict(const std::string& part, std::string* line = nullptr) const {
    for (const CaseEntry& entry : findCases({folder() / part})) {
      const Outcome outcome = runCase(entry);
      if (line) *line = outcome.line;
      return outcome.kind;
    }
    return Outcome::Kind::NotBuilt;
  }
  // One LoRA step by SGD, small enough to do by hand: A = 1, B = 2, gA = 0.5, gB = 0.25, lr 0.1.
  void writeStep(const std::string& part, double nextA, double decay = 0) const {
    write(part + "/c.json", nlohmann::json{{"kind", "optimizer-trajectory"},
                                           {"method", "LoRA"},
                                           {"file", "c.safetensors"},
                                           {"hyper", {{"lr", 0.1}, {"inner", "SGD"}, {"weight_decay", decay}}},
                                           {"tolerance", {{"A_B_atol", 1e-12}, {"A_B_rtol", 0}}}}
                                .dump());
    auto column = [](std::vector<double> v) {
      return at::tensor(v, at::kDouble).reshape({static_cast<int64_t>(v.size()), 1, 1});
    };
    auto ok = writeSafetensors(folder() / part / "c.safetensors", {{"p0/A", column({1.0, nextA})},
                                                                   {"p0/B", column({2.0, 2.0 - 0.1 * 0.25})},
                                                                   {"p0/gA", column({0.5})},
                                                                   {"p0/gB", column({0.25})}});
    QVERIFY(ok.ok());
  }

 private Q_SLOTS:
  void rightAndWrongNumbers() {
    writeStep("right", 0.95);
    QVERIFY(verdict("right") == Outcome::Kind::Passed);
    writeStep("wrong", 0.951);
    std::string line;
    QVERIFY(verdict("wrong", &line) == Outcome::Kind::Failed);
    QVERIFY2(line.find("p0/A after step 1") != std::string::npos, line.c_str());
  }

  void foreignKinds() {
    write("foreign/c.json", R"({"kind":"quantum","file":"c.safetensors"})");
    QVERIFY(verdict("foreign") == Outcome::Kind::NotBuilt);
    write("another/c.json", R"({"kind":"optimizer-trajectory","method":"LoRA-Another","file":"../right/c.safetensors"})");
    writeStep("right", 0.95);
    std::string line;
    QVERIFY(verdict("another", &line) == Outcome::Kind::NotBuilt);
    QVERIFY2(line.find("LoRA-Another") != std::string::npos, line.c_str());
  }

  void malformedCases_data() {
    QTest::addColumn<QString>("json");
    QTest::addColumn<bool>("tensors");
    QTest::newRow("no tensors") << R"({"kind":"optimizer-trajectory","method":"RefLoRA","file":"gone.safetensors"})"
                                << false;
    QTest::newRow("empty tensors") << R"({"kind":"optimizer-trajectory","method":"RefLoRA","file":"c.safetensors"})"
                                   << true;
    QTest::newRow("no learning rate")
        << R"({"kind":"optimizer-trajectory","method":"RefLoRA","file":"c.safetensors","hyper":{}})" << true;
    QTest::newRow("hyper is text")
        << R"({"kind":"optimizer-trajectory","method":"RefLoRA","file":"c.safetensors","hyper":"x"})" << true;
    QTest::newRow("no model") << R"({"kind":"peft-train","model":"models/none","file":"c.safetensors"})" << true;
    QTest::newRow("model is a number") << R"({"kind":"peft-train","model":7,"file":"c.safetensors"})" << true;
    QTest::newRow("no pair") << R"({"kind":"reflora-refactor","file":"c.safetensors"})" << true;
  }
  void malformedCases() {
    QFETCH(QString, json);
    QFETCH(bool, tensors);
    const std::string part = std::string("malformed_") + QTest::currentDataTag();
    write(part + "/c.json", json.toStdString());
    if (tensors) QVERIFY(writeSafetensors(folder() / part / "c.safetensors", {{"x", at::ones({2})}}).ok());
    std::string line;
    QVERIFY2(verdict(part, &line) == Outcome::Kind::Failed, line.c_str());
  }

  void truncatedTensors() {
    writeStep("truncated", 0.95);
    std::filesystem::resize_file(folder() / "truncated/c.safetensors", 100);
    QVERIFY(verdict("truncated") == Outcome::Kind::Failed);
  }

  void brokenManifests() {
    write("m1/manifest.json", "{ not json");
    QVERIFY(verdict("m1") == Outcome::Kind::Failed);
    write("m2/manifest.json", R"({"cases":[{"case":"x"}]})");
    QVERIFY(verdict("m2") == Outcome::Kind::Failed);
    write("m3/manifest.json",
          R"({"cases":[{"case":"x","kind":"model-parity","meta":"gone.json","file":"gone.safetensors"}]})");
    QVERIFY(verdict("m3") == Outcome::Kind::Failed);
  }

  void eachCaseOnce() {
    writeStep("once", 0.95);
    write("once/manifest.json",
          R"({"cases":[{"case":"c","kind":"optimizer-trajectory","meta":"c.json","file":"c.safetensors"}]})");
    QCOMPARE(findCases({folder() / "once", folder() / "once"}).size(), size_t{1});
    QVERIFY(verdict("once") == Outcome::Kind::Passed);
  }
};

QTEST_GUILESS_MAIN(GoldenFormat)
#include "golden_format.moc"

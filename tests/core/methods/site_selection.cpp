// Which sites a config means, as PEFT would take it.

#include <QtTest/QtTest>

#include "core/methods/registry.h"
#include "core/methods/site_selection.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

class SiteSelection : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void targets_data() {
    QTest::addColumn<QStringList>("targets");
    QTest::addColumn<QStringList>("layers");
    QTest::addColumn<int>("count");
    QTest::newRow("suffix") << QStringList{"q_proj"} << QStringList{} << 2;
    QTest::newRow("two suffixes") << QStringList{"q_proj", "up_proj"} << QStringList{} << 4;
    QTest::newRow("longer suffix") << QStringList{"mlp.up_proj"} << QStringList{} << 2;
    QTest::newRow("full name") << QStringList{"model.layers.1.mlp.up_proj"} << QStringList{} << 1;
    QTest::newRow("suffix of a component is none") << QStringList{"up_proj", "roj"} << QStringList{} << 2;
    QTest::newRow("all-linear leaves the head") << QStringList{"all-linear"} << QStringList{} << 6;
    QTest::newRow("regular expression") << QStringList{".*\\.(q|up)_proj"} << QStringList{} << 4;
    QTest::newRow("regular expression matches whole names") << QStringList{"model.*0.*down_proj"} << QStringList{} << 1;
    QTest::newRow("one layer") << QStringList{"all-linear"} << QStringList{"1"} << 3;
    QTest::newRow("range of layers") << QStringList{"q_proj"} << QStringList{"0-1"} << 2;
    QTest::newRow("open range") << QStringList{"q_proj"} << QStringList{"1-"} << 1;
  }
  void targets() {
    QFETCH(QStringList, targets);
    QFETCH(QStringList, layers);
    QFETCH(int, count);
    FakeModel model;
    MethodSettings s;
    for (const auto& t : targets) s.targetModules.push_back(t.toStdString());
    for (const auto& l : layers) s.layersToTransform.push_back(l.toStdString());
    auto sites = selectSites(model, s);
    if (!sites) QFAIL(sites.error().message().c_str());
    QCOMPARE(static_cast<int>(sites->size()), count);
  }

  void mistakes_data() {
    QTest::addColumn<QStringList>("targets");
    QTest::addColumn<QStringList>("layers");
    QTest::addColumn<QString>("where");
    QTest::newRow("no such site") << QStringList{"qq_proj"} << QStringList{} << "method.target_modules";
    QTest::newRow("nothing") << QStringList{} << QStringList{} << "method.target_modules";
    QTest::newRow("head alone") << QStringList{"classifier"} << QStringList{} << "method.target_modules";
    QTest::newRow("broken pattern") << QStringList{"(q_proj"} << QStringList{} << "method.target_modules";
    QTest::newRow("pattern of part of a name") << QStringList{"q_pro[j]"} << QStringList{} << "method.target_modules";
    QTest::newRow("no such layer") << QStringList{"q_proj"} << QStringList{"7"} << "method.layers";
    QTest::newRow("layer is a word") << QStringList{"q_proj"} << QStringList{"first"} << "method.layers";
    QTest::newRow("backward range") << QStringList{"q_proj"} << QStringList{"5-2"} << "method.layers";
  }
  void mistakes() {
    QFETCH(QStringList, targets);
    QFETCH(QStringList, layers);
    QFETCH(QString, where);
    FakeModel model;
    MethodSettings s;
    for (const auto& t : targets) s.targetModules.push_back(t.toStdString());
    for (const auto& l : layers) s.layersToTransform.push_back(l.toStdString());
    auto sites = selectSites(model, s);
    QVERIFY(!sites.ok());
    QCOMPARE(QString::fromStdString(sites.error().where), where);
    QVERIFY(!sites.error().hint.empty());
  }

  void theErrorListsTheSites() {
    FakeModel model;
    MethodSettings s;
    s.targetModules = {"query"};
    const Error error = selectSites(model, s).error();
    QVERIFY(error.expected.find("q_proj") != std::string::npos);
    QVERIFY(error.expected.find("down_proj") != std::string::npos);
  }

  void patternsOfRankAndAlpha() {
    FakeModel model;
    MethodSettings s;
    s.name = "lora";
    s.targetModules = {"q_proj", "up_proj"};
    s.rank = 4;
    s.alpha = 8;
    s.rankPattern = {{"up_proj", 2}, {"^model\\.layers\\.1\\.self_attn.*", 3}};
    s.alphaPattern = {{"layers.0.mlp.up_proj", 1}};
    const auto method = attached(model, s);
    std::map<std::string, std::pair<int64_t, double>> found;
    for (const auto& pair : method->factorPairs()) found[pair.site->name] = {pair.A.size(0), pair.scaling};
    QCOMPARE(found["model.layers.0.self_attn.q_proj"].first, int64_t{4});
    QCOMPARE(found["model.layers.0.self_attn.q_proj"].second, 2.0);
    QCOMPARE(found["model.layers.1.self_attn.q_proj"].first, int64_t{3});
    QCOMPARE(found["model.layers.1.self_attn.q_proj"].second, 8.0 / 3);
    QCOMPARE(found["model.layers.0.mlp.up_proj"].first, int64_t{2});
    QCOMPARE(found["model.layers.0.mlp.up_proj"].second, 0.5);
    QCOMPARE(found["model.layers.1.mlp.up_proj"].second, 4.0);
  }
};

QTEST_GUILESS_MAIN(SiteSelection)
#include "site_selection.moc"

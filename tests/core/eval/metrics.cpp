// Metrics by hand, and on degenerate input. The reference cases (scikit-learn, scipy) are golden_check's.

#include <QtTest/QtTest>

#include <cmath>

#include "core/eval/classification.h"
#include "core/eval/language_model.h"
#include "core/eval/registry.h"
#include "core/eval/regression.h"

using namespace rankscope;

class MetricsTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void classificationByHand() {
    const std::vector<int32_t> labels{1, 1, 0, 0, 1}, predicted{1, 0, 0, 1, 1};
    QCOMPARE(*accuracy(labels, predicted), 0.6);
    QCOMPARE(*binaryF1(labels, predicted), 2.0 * 2 / (2 * 2 + 1 + 1));
    QCOMPARE(*binaryF1(labels, predicted, 7), 0.0);
    QCOMPARE(*matthews(labels, predicted), (2.0 * 1 - 1 * 1) / std::sqrt(3.0 * 3 * 2 * 2));
    QVERIFY(!accuracy(labels, std::vector<int32_t>{1}).ok());
    QVERIFY(!matthews({}, {}).ok());
    QCOMPARE(*matthews(std::vector<int32_t>{1}, std::vector<int32_t>{1}), 0.0);
  }

  void languageModel() {
    QCOMPARE(*perplexity(std::log(2.0) * 10, 10), 2.0);
    QVERIFY(!perplexity(0, 0).ok());
    QVERIFY(std::isinf(*perplexity(1e6, 1)));
    QVERIFY(std::isnan(*perplexity(std::nan(""), 3)));
  }

  void tasksAndNames() {
    QCOMPARE((*findMetric("eval/matthews"))->name, std::string("matthews"));
    const auto wrong = findMetric("acuracy");
    QVERIFY(!wrong.ok());
    QVERIFY(wrong.error().hint.find("accuracy") != std::string::npos);
    QCOMPARE(mainMetric("classification"), std::string("accuracy"));
    QCOMPARE(mainMetric("regression"), std::string("pearson"));
    QCOMPARE(mainMetric("causal_lm"), std::string("loss"));
    Predictions p;
    p.labels = {0, 1, 1};
    p.predicted = {0, 1, 0};
    p.classes = 2;
    const auto values = computeMetrics("classification", p);
    QVERIFY(values.ok());
    for (const char* name : {"accuracy", "f1", "matthews"}) QVERIFY(values->count(name) == 1);
    p.classes = 3;
    QVERIFY(computeMetrics("classification", p)->count("f1") == 0);
    QVERIFY(computeMetrics("classification", p)->count("f1_macro") == 1);
    QVERIFY(!computeMetrics("classification", {}).ok());
    Predictions one;
    one.targets = {1};
    one.scores = {2};
    QVERIFY(std::isnan(computeMetrics("regression", one)->at("pearson")));
    QCOMPARE(computeMetrics("regression", one)->at("mse"), 1.0);
    for (const MetricEntry& entry : metricEntries()) QVERIFY(!entry.help.empty() && !entry.tasks.empty());
  }
};

QTEST_APPLESS_MAIN(MetricsTest)
#include "metrics.moc"

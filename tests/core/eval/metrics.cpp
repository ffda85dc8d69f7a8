// Every metric against the reference cases (scikit-learn, scipy), and on degenerate input.

#include <QtTest/QtTest>

#include <cmath>
#include <filesystem>
#include <limits>

#include "core/eval/classification.h"
#include "core/eval/language_model.h"
#include "core/eval/registry.h"
#include "core/eval/regression.h"
#include "core/config/json_text.h"

using namespace rankscope;

namespace {

double number(const nlohmann::json& value) {
  if (value.is_number()) return value.get<double>();
  const std::string text = value.get<std::string>();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  return std::numeric_limits<double>::quiet_NaN();
}

template <typename T>
std::vector<T> numbers(const nlohmann::json& list) {
  std::vector<T> result;
  for (const nlohmann::json& value : list) result.push_back(static_cast<T>(number(value)));
  return result;
}

}  // namespace

class MetricsTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void referenceCases() {
    const std::filesystem::path shared = qEnvironmentVariable("RANKSCOPE_SHARED").toStdString();
    const std::filesystem::path file = shared / "reference/golden/metrics/glue.json";
    if (!std::filesystem::exists(file)) return;
    const auto document = readJsonFile(file);
    QVERIFY(document.ok());
    const nlohmann::json& tolerances = (*document)["tolerance"];
    int compared = 0;
    for (const auto& [name, test] : (*document)["cases"].items()) {
      const double tolerance = tolerances.contains(name) ? tolerances[name]["atol"].get<double>() : 1e-9;
      Predictions p;
      const bool regression = test["config"] == "stsb";
      if (regression) {
        p.targets = numbers<double>(test["labels"]);
        p.scores = numbers<double>(test["predictions"]);
      } else {
        p.labels = numbers<int32_t>(test["labels"]);
        p.predicted = numbers<int32_t>(test["predictions"]);
      }
      for (const MetricEntry& entry : metricEntries()) {
        const bool applies = entry.tasks.front() == (regression ? "regression" : "classification");
        if (!applies || !test.contains(entry.name)) continue;
        const nlohmann::json& expected = test[entry.name];
        const Result<double> value = entry.compute(p);
        const std::string what = name + " " + entry.name;
        if (expected.is_object()) {
          // scikit-learn refuses NaN and infinity in a squared error; here they travel on as not finite.
          if (value.ok() && entry.name == "mse") QVERIFY2(!std::isfinite(*value), what.c_str());
          else QVERIFY2(!value.ok(), what.c_str());
        } else {
          QVERIFY2(value.ok(), what.c_str());
          const double wanted = number(expected);
          const bool same = std::isnan(wanted) ? std::isnan(*value)
                                               : std::abs(*value - wanted) <= tolerance + 1e-12 * std::abs(wanted);
          QVERIFY2(same, qPrintable(QString("%1: %2, expected %3").arg(what.c_str()).arg(*value, 0, 'g', 17).arg(wanted, 0, 'g', 17)));
        }
        ++compared;
      }
    }
    QVERIFY2(compared > 100, qPrintable(QString::number(compared)));
  }

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

// Compare: labels, means with bands, rank lines, the paper's table, differences, and the view over a real store.
#include <QtTest/QtTest>

#include <QClipboard>

#include "tests/support/synthetic_store.h"
#include "tests/support/ui_fixture.h"
#include "ui/compare/compare_view.h"
#include "ui/compare/curves_tab.h"
#include "ui/compare/differences_tab.h"
#include "ui/compare/paper_tab.h"
#include "ui/compare/rank_tab.h"
#include "ui/plots/plot.h"
#include "ui/shell/plurals.h"

using namespace rankscope;
using namespace rankscope::ui;
using namespace rankscope::test;

class CompareViewTest : public QObject {
  Q_OBJECT

  static RunRow row(const char* method, std::optional<int64_t> rank, int64_t seed, const char* data, double accuracy) {
    RunRow r;
    r.id = std::string(method) + std::to_string(rank.value_or(0)) + data + std::to_string(seed);
    r.name = "n" + r.id;
    r.method = method;
    r.rank = rank;
    r.seed = seed;
    r.dataName = data;
    r.modelName = "m";
    r.bestMetric = "eval/accuracy";
    r.bestValue = accuracy;
    r.trainable = 100;
    r.parameters = 10000;
    MetricSummary summary;
    summary.best = accuracy;
    summary.last = accuracy - 0.01;
    r.metrics["eval/accuracy"] = summary;
    return r;
  }

 private Q_SLOTS:
  void initTestCase() {
    Theme::instance().install(*qApp);
    installPlurals(*qApp);
  }

  void labelsAreShortAndDistinct() {
    const auto runs = comparedRuns({row("lora", 8, 0, "mrpc", .8), row("lora", 8, 1, "mrpc", .8), row("reflora", 8, 0, "mrpc", .8), row("full", {}, 0, "cola", .8)});
    QCOMPARE(runs[0].label, QString("LoRA r8 s0"));
    QCOMPARE(runs[1].label, QString("LoRA r8 s1"));
    QCOMPARE(runs[2].label, QString("RefLoRA r8"));
    QCOMPARE(runs[3].label, QString("Full"));
    const auto data = comparedRuns({row("lora", 8, 0, "mrpc", .8), row("lora", 8, 0, "cola", .8)});
    QCOMPARE(data[0].label, QString("LoRA r8 mrpc"));
  }

  void meanOverRunsCountsEachRunOnce() {
    CurvePoints dense, sparse;
    for (int i = 0; i <= 1000; ++i) dense.step.push_back(i), dense.y.push_back(1);
    for (int i = 0; i <= 1000; i += 100) sparse.step.push_back(i), sparse.y.push_back(3);
    const CurvePoints mean = meanCurve({&dense, &sparse}, XAxis::Step, 10);
    QCOMPARE(mean.y.size(), size_t{10});
    for (size_t i = 0; i < 10; ++i) {
      QVERIFY(std::abs(mean.y[i] - 2) < 1e-9);
      QVERIFY(std::abs(mean.upper[i] - (2 + std::sqrt(2.0))) < 1e-9);  // sample sd of {1, 3}
    }
    CurvePoints gap = dense;
    for (double& v : gap.y) v = std::numeric_limits<double>::quiet_NaN();
    QVERIFY(std::abs(meanCurve({&dense, &gap}, XAxis::Step, 10).y[4] - 1) < 1e-9);
    QVERIFY(meanCurve({}, XAxis::Step).y.empty());
  }

  void rankLinesAverageSeeds() {
    const auto runs = comparedRuns({row("lora", 4, 0, "mrpc", .80), row("lora", 4, 1, "mrpc", .82), row("lora", 16, 0, "mrpc", .85), row("full", {}, 0, "mrpc", .9)});
    const auto lines = rankLines(runs, "best");
    QCOMPARE(lines.size(), size_t{2});
    QCOMPARE(lines[0].rank, (std::vector<double>{4, 16}));
    QVERIFY(std::abs(lines[0].mean[0] - .81) < 1e-12);
    QCOMPARE(lines[0].n, (std::vector<int>{2, 1}));
    QVERIFY(lines[1].withoutRank);
    QVERIFY(std::abs(rankLines(runs, "eval/accuracy.last")[0].mean[1] - .84) < 1e-12);
  }

  void paperTableHasMeanSpreadAndBestInBold() {
    const auto runs = comparedRuns({row("lora", 8, 0, "mrpc", .80), row("lora", 8, 1, "mrpc", .84), row("reflora", 8, 0, "mrpc", .86), row("reflora", 8, 1, "mrpc", .88),
                                    row("lora", 8, 0, "cola", .50), row("reflora", 8, 0, "cola", .40)});
    PaperOptions options;
    options.percent = true;
    options.decimals = 1;
    const PaperTable table = paperTable(runs, options);
    QCOMPARE(table.text.columns.size(), size_t{6});  // method rank trainable mrpc cola average
    QCOMPARE(table.text.rows.size(), size_t{2});
    QCOMPARE(table.text.rows[0][3].text, QString("82.0 ± 2.8"));
    QVERIFY(!table.text.rows[0][3].bold);
    QCOMPARE(table.text.rows[1][3].text, QString("87.0 ± 1.4"));
    QVERIFY(table.text.rows[1][3].bold);
    QVERIFY(table.text.rows[0][4].bold);
    QCOMPARE(table.text.rows[0][5].text, QString("66.0"));
    QCOMPARE(table.counts[0][3], 2);
    const QString latex = table.text.toLatex();
    QVERIFY(latex.contains("\\textbf{87.0 $\\pm$ 1.4}"));
    QVERIFY(table.text.toMarkdown().contains("**87.0 ± 1.4**"));
    QVERIFY(paperTable({}, options).text.rows.empty());
  }

  void differencesAreOneSentence() {
    const auto runs = comparedRuns({row("lora", 8, 0, "mrpc", .8), row("reflora", 8, 0, "mrpc", .8)});
    const QString text = differenceSentence(runs, {{"method.name", {"lora", "reflora"}}, {"optim.learning_rate", {"0.0001", "0.0002"}}});
    QVERIFY2(text.startsWith("LoRA r8 and RefLoRA r8 differ in method (lora, reflora) and learning rate (0.0001, 0.0002)"), qPrintable(text));
    // What only one method has is not counted among the differences.
    const QString mixed = differenceSentence(runs, {{"method.interval", {"", "1"}}, {"method.name", {"lora", "reflora"}}});
    QVERIFY2(mixed.contains("differ in method (lora, reflora), and in options that only some"), qPrintable(mixed));
    QVERIFY(!realDifference({"method.interval", {"", "1"}}));
    QVERIFY(differenceSentence(runs, {}).contains("same configuration"));
    QVERIFY(differenceSentence({}, {}).contains("at least two"));
  }

  void viewReadsWhatIsSelected() {
    UiFixture fx;
    QStringList ids;
    for (const char* method : {"lora", "reflora"})
      for (int seed : {0, 1}) {
        SyntheticRun run;
        run.method = method;
        run.seed = seed;
        run.steps = 120;
        ids << QString::fromStdString(writeRun(fx.places, run));
      }
    fx.store->ingestNow();
    QTRY_VERIFY_WITH_TIMEOUT(fx.store->isOpen(), 5000);
    CompareView view(fx.context);
    view.resize(1300, 800);
    view.show();
    view.onActivated();
    QVERIFY(accessible(&view, QAccessible::Button, "Go to Runs"));
    fx.selection.set(ids);
    view.open({{"runs", QJsonArray::fromStringList(ids)}});
    QTRY_COMPARE_WITH_TIMEOUT(view.runs().size(), size_t{4}, 10000);
    QTRY_COMPARE(view.curves()->plot()->curveIds().size(), 4);
    QCOMPARE(view.curves()->plot()->toCsv().count('\n'), 1 + 4 * 120);
    view.curves()->chooseGrouping(Grouping::Method);
    QTRY_COMPARE(view.curves()->plot()->curveIds().size(), 2);
    view.curves()->chooseGrouping(Grouping::None);
    QTRY_COMPARE(view.curves()->plot()->curveIds().size(), 4);
    view.curves()->chooseSeries("eval/loss");
    QTRY_VERIFY(view.curves()->plot()->toCsv().count('\n') == 1 + 4 * 2);
    QCOMPARE(view.paper()->table().text.rows.size(), size_t{2});
    QCOMPARE(view.againstRank()->plot()->curveIds().size(), 4);  // two methods, their means and their runs
    auto* list = accessible(&view, QAccessible::List, "Compared runs");
    QVERIFY(list);
    for (QAction* action : view.viewActions())
      if (action && action->text() == "Differences") action->trigger();
    QTRY_VERIFY(view.differences()->sentence().contains("method"));
    QVERIFY(!view.differences()->sentence().contains("notes"));
    auto* copy = accessible(view.differences(), QAccessible::Button, "Copy as Markdown");
    QVERIFY(copy);
    copy->actionInterface()->doAction(QAccessibleActionInterface::pressAction());
    QVERIFY(QApplication::clipboard()->text().contains("method.name"));
    const QStringList unnamed = unnamedControls(&view);
    QVERIFY2(unnamed.isEmpty(), qPrintable(unnamed.join(", ")));
    view.onDeactivated();
  }
};

QTEST_MAIN(CompareViewTest)
#include "compare_view.moc"

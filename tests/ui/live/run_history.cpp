#include <QtTest>
#include <cmath>
#include <limits>

#include "ui/live/run_history.h"

using namespace rankscope;
using namespace rankscope::ui;

namespace {

event::Event metrics(int64_t step, double loss) {
  return {1000.0 + double(step), event::Metrics{{step, double(step) / 10, step * 100, double(step)}, {{"train/loss", loss}}}};
}

}  // namespace

class RunHistoryTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void eventsOfAStepShareATick() {
    RunHistory h;
    h.apply({1, event::Start{.totalSteps = 10, .sites = {{"a", "q", 0, 4, 4, 2}, {"b", "q", 1, 4, 4, 2}}}});
    h.apply(metrics(1, 3));
    h.apply({2, event::Sites{{1, 0.1, 100, 1}, {{"norm_A", {1, 2}}}}});
    h.apply({3, event::Eval{{1, 0.1, 100, 1}, {{"eval/loss", 2}}, true}});
    QCOMPARE(h.clock().size(), size_t{1});
    QCOMPARE(h.series("site/b/norm_A")->values, std::vector<double>{2});
    QCOMPARE(*h.last("eval/loss"), 2.0);
    QCOMPARE(*h.bestStep(), int64_t{1});
    QVERIFY(!h.series("site/c/norm_A"));
  }

  void moreValuesThanSitesAreLeftOut() {
    RunHistory h;
    h.apply({1, event::Start{.sites = {{"a", "q", 0, 4, 4, 2}}}});
    h.apply({2, event::Sites{{1, 0, 0, 0}, {{"norm_A", {1, 2, 3}}}}});
    QCOMPARE(h.seriesNames(), std::vector<std::string>{"site/a/norm_A"});
  }

  void aRewindDropsWhatIsReplaced() {
    RunHistory h;
    for (int64_t step = 1; step <= 10; ++step) h.apply(metrics(step, double(step)));
    h.apply({5, event::Sample{8, "p", "t"}});
    h.apply({20, event::Start{.life = 2, .step = 6}});
    h.apply({21, event::Rewind{6}});
    QCOMPARE(h.rewinds(), uint64_t{1});
    QCOMPARE(h.clock().size(), size_t{6});
    QCOMPARE(h.series("train/loss")->values.size(), size_t{6});
    QVERIFY(h.samples().empty());
    h.apply(metrics(7, 70));
    QCOMPARE(h.series("train/loss")->values.back(), 70.0);
    QCOMPARE(h.series("train/loss")->ticks.back(), 6u);
  }

  void notFiniteStaysAGap() {
    RunHistory h;
    h.apply(metrics(1, 2));
    h.apply(metrics(2, std::numeric_limits<double>::quiet_NaN()));
    QVERIFY(std::isnan(h.series("train/loss")->values.back()));
    QCOMPARE(*h.last("train/loss"), 2.0);
  }

  void statesErrorsAndTheEnd() {
    RunHistory h;
    h.apply({1, event::State{event::RunState::Running, "", 0}});
    QCOMPARE(h.state(), std::string("running"));
    h.apply({2, event::Progress{5, 10, 3.5, "evaluating"}});
    QCOMPARE(*h.etaSeconds(), 3.5);
    QCOMPARE(h.doing(), std::string("evaluating"));
    h.apply({3, event::Failure{Error{ErrorCode::Training, "the loss is not finite", "step 6", "nan", "a number", "Lower it."}, 6}});
    h.apply({4, event::End{event::RunState::Failed, 6, {}}});
    QVERIFY(h.ended());
    QCOMPARE(h.error()->hint, std::string("Lower it."));
    QCOMPARE(h.errorStep(), int64_t{6});
    // A resumed life starts with a clean sheet.
    h.apply({5, event::Start{.life = 2, .step = 4}});
    QVERIFY(!h.error() && !h.ended());
  }

  void theLogIsBounded() {
    RunHistory h;
    for (size_t i = 0; i < RunHistory::kMaxLogLines + 100; ++i) h.apply({1, event::Log{"info", std::to_string(i)}});
    QCOMPARE(h.log().size(), RunHistory::kMaxLogLines);
    QCOMPARE(h.logCount(), uint64_t{RunHistory::kMaxLogLines + 100});
    QCOMPARE(h.log().back().text, std::to_string(RunHistory::kMaxLogLines + 99));
  }

  void unknownKindsArePassedOver() {
    RunHistory h;
    h.apply({1, event::Other{"telepathy", {{"x", 1}}}});
    QVERIFY(h.clock().empty());
  }
};

QTEST_MAIN(RunHistoryTest)
#include "run_history.moc"

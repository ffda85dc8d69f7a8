#include <QSignalSpy>
#include <QUndoStack>
#include <QtTest>

#include "ui/newrun/run_draft.h"
#include "core/config/method_parts.h"
#include "ui/newrun/twin_dialog.h"

using namespace rankscope;
using namespace rankscope::ui;

class RunDraftTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void changesAreAgainstThePreset() {
    QUndoStack undo;
    RunDraft draft(&undo);
    RunConfig preset;
    QVERIFY(preset.set("method.rank", 4).ok());
    draft.startFrom("mine", preset);
    QVERIFY(draft.changedKeys().isEmpty());
    draft.set("method.rank", 16);
    QCOMPARE(draft.changedKeys(), QStringList{"method.rank"});
    draft.revert("method.rank");
    QVERIFY(draft.changedKeys().isEmpty());
    QCOMPARE(draft.config().integer("method.rank"), int64_t{4});
    undo.undo();
    QCOMPARE(draft.config().integer("method.rank"), int64_t{16});
  }

  void typingIsOneStepBack() {
    QUndoStack undo;
    RunDraft draft(&undo);
    draft.setText("optim.learning_rate", "2");
    draft.setText("optim.learning_rate", "2e");
    draft.setText("optim.learning_rate", "2e-3");
    QCOMPARE(undo.count(), 1);
    QCOMPARE(draft.config().real("optim.learning_rate"), 2e-3);
    undo.undo();
    QCOMPARE(draft.config().real("optim.learning_rate"), 1e-4);
  }

  void unreadableTextIsAMistakeAtItsKey() {
    RunDraft draft(nullptr);
    const auto before = draft.issues().size();
    draft.setText("train.epochs", "three");
    QCOMPARE(draft.issues().size(), before + 1);
    QCOMPARE(draft.issuesOf("train.epochs").size(), size_t{1});
    QVERIFY(!draft.issuesOf("train.epochs").front()->error.hint.empty());
    QCOMPARE(draft.text("train.epochs"), QString("three"));
    QVERIFY(draft.isChanged("train.epochs"));
    draft.setText("train.epochs", "2");
    QVERIFY(draft.issuesOf("train.epochs").empty());
  }

  void sameWordsAsTheCommandLine() {
    RunDraft draft(nullptr);
    draft.set("method.rank", 0);
    const auto told = validate(draft.config());
    const auto at = std::find_if(told.begin(), told.end(), [](const auto& i) { return i.key == "method.rank"; });
    QVERIFY(at != told.end());
    QCOMPARE(draft.issuesOf("method.rank").front()->error.what, at->error.what);
  }

  // Another method or task leaves no mistakes in fields that are not shown any more, and coming back finds them as they were.
  void whatStopsApplyingIsPutAside() {
    QUndoStack undo;
    RunDraft draft(&undo);
    RunConfig preset;
    QVERIFY(preset.assign({"data.task=instruction", "data.columns.answer=review", "data.template=about {topic}",
                           "method.rank=16"}).empty());
    draft.startFrom("mine", preset);
    const auto mistakesOf = [&draft](const char* key) { return draft.issuesOf(key).size(); };
    draft.setText("method.rank", "none");
    draft.setText("method.rank", "32");
    draft.setText("method.dropout", "half");
    QCOMPARE(mistakesOf("method.dropout"), size_t{1});
    draft.set("method.name", "full");
    QCOMPARE(mistakesOf("method.rank") + mistakesOf("method.dropout"), size_t{0});
    QVERIFY(!draft.config().isSet("method.rank"));
    draft.set("method.name", "rora");
    QCOMPARE(draft.config().integer("method.rank"), int64_t{32});
    draft.set("data.task", "causal_lm");
    QCOMPARE(mistakesOf("data.template") + mistakesOf("data.columns.answer"), size_t{0});
    undo.undo();
    QCOMPARE(QString::fromStdString(draft.config().str("data.template")), QString("about {topic}"));
    undo.redo();
    draft.set("data.task", "instruction");
    QCOMPARE(QString::fromStdString(draft.config().str("data.columns.answer")), QString("review"));
  }

  void outsideIssuesComeAndGo() {
    RunDraft draft(nullptr);
    QSignalSpy changed(&draft, &RunDraft::issuesChanged);
    draft.setOutsideIssues("data", {{"data.train", Error{ErrorCode::BadInput, "the file is gone", "x", "", "", "Choose another."}}});
    QCOMPARE(changed.count(), 1);
    const auto texts = draft.issuesOf("data.train");
    QVERIFY(std::any_of(texts.begin(), texts.end(), [](auto* i) { return i->error.what == "the file is gone"; }));
    draft.setOutsideIssues("data", {});
    const auto after = draft.issuesOf("data.train");
    QVERIFY(std::none_of(after.begin(), after.end(), [](auto* i) { return i->error.what == "the file is gone"; }));
  }

  void survivesAStore() {
    RunDraft draft(nullptr);
    RunConfig preset;
    QVERIFY(preset.set("optim.learning_rate", 1e-3).ok());
    draft.startFrom("starter", preset);
    draft.set("method.name", "reflora");
    draft.set("train.sample_prompts", nlohmann::json::array({"a, b", "c"}));
    draft.setText("seed", "seven");
    RunDraft back(nullptr);
    QVERIFY(back.restore(draft.save()));
    QCOMPARE(back.presetName(), QString("starter"));
    QVERIFY(back.config() == draft.config());
    QCOMPARE(back.text("seed"), QString("seven"));
    QCOMPARE(back.changedKeys(), draft.changedKeys());
    QVERIFY(!back.restore({}));
    // A draft of a program with other options is taken as far as it goes.
    QVERIFY(back.restore({{"config", QJsonObject{{"seed", 3}, {"nonsense", 1}}}}));
    QCOMPARE(back.config().integer("seed"), int64_t{3});
  }

  void twinsDifferInMethodOnly() {
    RunConfig config;
    QVERIFY(config.set("method.name", "reflora").ok());
    QVERIFY(config.set("method.warmup_steps", 20).ok());
    QVERIFY(config.set("seed", 5).ok());
    QVERIFY(config.set("name", "mine").ok());
    const auto full = twinOf(config, "full");
    QCOMPARE(full.integer("seed"), int64_t{5});
    QVERIFY(!full.isSet("method.warmup_steps"));
    QCOMPARE(QString::fromStdString(full.str("name")), QString("mine (full)"));
    for (const auto& issue : validate(full)) QVERIFY2(!QByteArray::fromStdString(issue.key).startsWith("method"), issue.error.message().c_str());
    TwinDialog dialog(config);
    QCOMPARE(dialog.chosen().size(), usualTwins().size());  // itself among them
  }
};

QTEST_MAIN(RunDraftTest)
#include "run_draft.moc"

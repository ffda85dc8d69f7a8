#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QSignalSpy>
#include <QToolButton>
#include <QtTest>

#include "tests/support/ui_fixture.h"
#include "ui/newrun/memory_bar.h"
#include "ui/newrun/option_field.h"
#include "ui/newrun/option_form.h"
#include "ui/newrun/rank_slider.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/token_view.h"

using namespace rankscope;
using namespace rankscope::ui;

class OptionFormTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // Every option of the table gets an editor that shows its value, has a name and a description.
  void everyOptionHasAField() {
    RunDraft draft(nullptr);
    OptionForm form(&draft);
    form.showAll();
    for (const auto& option : optionTable()) {
      auto* field = form.field(QString::fromStdString(option.key));
      QVERIFY2(field, option.key.c_str());
      QVERIFY2(!field->editor()->accessibleName().isEmpty(), option.key.c_str());
      QVERIFY2(!field->editor()->accessibleDescription().isEmpty(), option.key.c_str());
      if (auto* box = qobject_cast<QComboBox*>(field->editor())) {
        QCOMPARE(box->count(), static_cast<int>(option.choices.size()));
        QCOMPARE(box->currentData().toString().toStdString(), option.defaultValue.get<std::string>());
      }
    }
  }

  void onlyWhatApplies() {
    RunDraft draft(nullptr);
    OptionForm form(&draft);
    form.showAll();
    form.show();
    QVERIFY(!form.field("method.warmup_steps")->isVisible());
    draft.set("method.name", "reflora");
    QVERIFY(form.field("method.warmup_steps")->isVisible());
    draft.set("method.name", "full");
    QVERIFY(!form.field("method.rank")->isVisible());
  }

  // A part of the method that is left to it says which that is.
  void partsLeftToTheMethodAreTold() {
    RunDraft draft(nullptr);
    OptionForm form(&draft);
    form.showKeys({"method.base", "method.rule"});
    form.show();
    const auto told = [&](const char* key) { return form.findChild<QLabel*>(QStringLiteral("unit:") + key)->text(); };
    draft.set("method.name", "qlora");
    QCOMPARE(told("method.base"), QString("= NF4"));
    QCOMPARE(told("method.rule"), QString("= Plain"));
    draft.set("method.name", "reflora");
    QCOMPARE(told("method.base"), QString("= As loaded"));
    QCOMPARE(told("method.rule"), QString("= RefLoRA"));
    draft.set("method.rule", "plain");
    QVERIFY(told("method.rule").isEmpty());
  }

  void typingMarksAndReverts() {
    RunDraft draft(nullptr);
    OptionForm form(&draft);
    form.showKeys({"train.epochs"});
    form.show();
    auto* field = form.field("train.epochs");
    auto* edit = qobject_cast<QLineEdit*>(field->editor());
    QVERIFY(!field->revertButton()->isVisible());
    edit->selectAll();
    QTest::keyClicks(edit, "nan");
    QVERIFY(!field->problem().isEmpty());
    QVERIFY(field->findChild<QLabel*>("error:train.epochs")->isVisible());
    edit->selectAll();
    QTest::keyClicks(edit, "7");
    QVERIFY(field->problem().isEmpty());
    QCOMPARE(draft.config().real("train.epochs"), 7.0);
    QVERIFY(field->revertButton()->isVisible());
    QTest::mouseClick(field->revertButton(), Qt::LeftButton);
    QCOMPARE(draft.config().real("train.epochs"), 3.0);
    QCOMPARE(edit->text(), QString("3"));
  }

  void arrowsStepLearningRates() {
    RunDraft draft(nullptr);
    OptionForm form(&draft);
    form.showKeys({"optim.learning_rate"});
    form.show();
    auto* edit = form.field("optim.learning_rate")->editor();
    for (const double expected : {2e-4, 5e-4, 1e-3}) {
      QTest::keyClick(edit, Qt::Key_Up);
      QCOMPARE(draft.config().real("optim.learning_rate"), expected);
    }
    QTest::keyClick(edit, Qt::Key_Down);
    QCOMPARE(draft.config().real("optim.learning_rate"), 5e-4);
  }

  void searchFindsByWordsKeyAndHelp() {
    RunDraft draft(nullptr);
    OptionForm form(&draft);
    form.showAll();
    form.show();
    form.setSearch("learning");
    QVERIFY(form.field("optim.learning_rate")->isVisible());
    QVERIFY(!form.field("train.epochs")->isVisible());
    form.setSearch("optim.weight");
    QVERIFY(form.field("optim.weight_decay")->isVisible());
    form.setSearch("zzz");
    QCOMPARE(form.visibleFields(), 0);
  }

  void changedTabListsChanges() {
    RunDraft draft(nullptr);
    OptionForm form(&draft);
    form.showAll();
    form.setOnlyChanged(true);
    form.show();
    QCOMPARE(form.visibleFields(), 0);
    draft.set("seed", 3);
    draft.set("optim.name", "sgd");
    QCOMPARE(form.visibleFields(), 2);
  }

  void rankSliderIsLogarithmic() {
    RankSlider rank;
    rank.setFullRank(384);
    rank.setRank(8);
    rank.show();
    QSignalSpy changed(&rank, &RankSlider::rankChanged);
    QTest::keyClick(rank.slider(), Qt::Key_Right);
    QCOMPARE(rank.rank(), 16);
    rank.slider()->setValue(rank.slider()->maximum());
    QCOMPARE(rank.rank(), 384);
    rank.slider()->setValue(0);
    QCOMPARE(rank.rank(), 1);
    rank.edit()->selectAll();
    QTest::keyClicks(rank.edit(), "100");
    QTest::keyClick(rank.edit(), Qt::Key_Return);
    QCOMPARE(rank.rank(), 100);
    QSignalSpy rejected(&rank, &RankSlider::textRejected);
    rank.edit()->selectAll();
    QTest::keyClicks(rank.edit(), "ten");
    QTest::keyClick(rank.edit(), Qt::Key_Return);
    QCOMPARE(rejected.count(), 1);
    QCOMPARE(rank.rank(), 100);
    QVERIFY(changed.count() >= 4);
  }

  void memoryBarSaysWhenItDoesNotFit() {
    MemoryBar bar;
    bar.setParts({{"weights", "Weights", 6e9}, {"adapter", "Adapter", 1e9}}, 4e9);
    QVERIFY(!bar.fits());
    bar.setParts({{"weights", "Weights", 1e9}}, 4e9);
    QVERIFY(bar.fits());
    QVERIFY(bar.accessibleDescription().contains("Weights"));
  }

  void blanksInTokensAreSeen() {
    QCOMPARE(visibleToken(QString::fromUtf8("▁the")), QString::fromUtf8("·the"));
    QCOMPARE(visibleToken("\n"), QString::fromUtf8("⏎"));
    QCOMPARE(visibleToken(""), QString::fromUtf8("∅"));
  }
};

QTEST_MAIN(OptionFormTest)
#include "option_form.moc"

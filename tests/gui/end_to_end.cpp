// A person's first session in the main window, by clicks and keys: choose model, data, method; Start; watch it finish in
// Live; a twin run; the spectrum; both runs in Compare. Once with fake_trainer and once with the real trainer, model and
// text (left out where they are not there).
#include <QFile>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QtTest>

#include "core/runlog/heartbeat.h"
#include "tests/gui/window_steps.h"
#include "tests/support/ui_fixture.h"
#include "ui/live/live_plots.h"
#include "ui/live/live_view.h"
#include "ui/newrun/consequences_panel.h"
#include "ui/newrun/run_draft.h"
#include "ui/plots/heatmap.h"
#include "ui/shell/error_text.h"
#include "ui/spectrum/spectrum_view.h"

using namespace rankscope;
using namespace rankscope::ui;
using namespace rankscope::test;

class EndToEndTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void firstSession_data() {
    QTest::addColumn<QString>("program");
    QTest::addColumn<QString>("model");
    QTest::addColumn<QString>("text");
    QTest::addRow("fake trainer") << fakeTrainer() << "models:any" << "any.txt";
    const auto real = QStringLiteral(RANKSCOPE_BIN_DIR "/rankscope-train");
    const auto shared = qEnvironmentVariable("RANKSCOPE_SHARED");
    const auto model = shared + "/data/models/stories260K/hf";
    const auto text = shared + "/data/lm_text/tinyshakespeare/input.txt";
    if (QFile::exists(real) && QFile::exists(model) && QFile::exists(text)) QTest::addRow("real trainer") << real << model << text;
  }

  void firstSession() {
    QFETCH(QString, program);
    QFETCH(QString, model);
    QFETCH(QString, text);
    qputenv("FAKE_MS", "5");
    qputenv("FAKE_STEPS", "40");
    UiFixture fixture(program);
    MainWindow window(fixture.context);
    window.resize(1440, 900);
    window.show();
    QVERIFY(QTest::qWaitForWindowExposed(&window));

    navigate(window, "New run");
    QCOMPARE(window.currentViewId(), QString("newrun"));
    auto* newRun = static_cast<NewRunView*>(window.view("newrun"));
    QTRY_VERIFY(!newRun->draft()->presetName().isEmpty());
    step(newRun, "model");
    type(seen<QLineEdit>(newRun, "edit:model.path"), model);
    step(newRun, "data");
    newRun->draft()->set("data.task", "causal_lm");  // the preset's task is prompt and answer
    for (const char* key : {"data.eval", "data.template", "data.columns.answer"}) newRun->draft()->set(key, "");
    type(seen<QLineEdit>(newRun, "edit:data.train"), text);
    newRun->draft()->set("data.train_limit", 60);
    newRun->draft()->set("data.eval_limit", 10);
    newRun->draft()->set("train.sample_prompts", nlohmann::json::array({"Once upon a time"}));
    step(newRun, "method");
    auto* rank = seen<QLineEdit>(newRun, "rankEdit");
    type(rank, "4");
    step(newRun, "training");
    type(seen<QLineEdit>(newRun, "edit:train.max_steps"), "12");
    type(seen<QLineEdit>(newRun, "edit:train.batch_size"), "2");
    auto* panel = newRun->consequences();
    QTRY_VERIFY2_WITH_TIMEOUT(panel->startButton()->isEnabled(),
                              qPrintable(newRun->draft()->issues().empty() ? QString() : errorText(newRun->draft()->issues().front().error)),
                              20000);
    QTRY_VERIFY_WITH_TIMEOUT(seen<QLabel>(newRun, "trainable")->text().contains('%'), 30000);

    // The first run is watched until it is done.
    auto start = [&] {
      QTest::mouseClick(panel->startButton(), Qt::LeftButton);
      QTRY_COMPARE(window.currentViewId(), QString("live"));
      auto* live = static_cast<LiveView*>(window.view("live"));
      QTRY_COMPARE_WITH_TIMEOUT(live->history().state(), std::string("finished"), 120000);
      QTRY_VERIFY(live->plots()->plot("loss")->hasCurve("train/loss"));
      QVERIFY(live->history().last("train/loss").has_value());
      QVERIFY(live->history().last("factors/norm_A").has_value());
    };
    start();
    const QString first = fixture.selection.current();

    // The second is the same with another method.
    navigate(window, "New run");
    step(newRun, "method");
    auto* methods = seen<QListWidget>(newRun, "methodList");
    for (int i = 0; i < methods->count(); ++i) {
      if (methods->item(i)->text() == "RoRA") {
        methods->scrollToItem(methods->item(i));
        QTest::mouseClick(methods->viewport(), Qt::LeftButton, {}, methods->visualItemRect(methods->item(i)).center());
      }
    }
    QTRY_VERIFY(panel->startButton()->isEnabled());
    start();
    const QString second = fixture.selection.current();
    QVERIFY(first != second);

    navigate(window, "Spectrum");
    auto* spectrum = static_cast<SpectrumView*>(window.view("spectrum"));
    QTRY_VERIFY(spectrum->computeButton()->isEnabled());
    QTest::mouseClick(spectrum->computeButton(), Qt::LeftButton);
    QTRY_VERIFY2_WITH_TIMEOUT(!spectrum->grid()->isEmpty(), qPrintable(spectrum->findChild<QLabel*>("spectrumState")->text()), 60000);
    QVERIFY(!seen<QLabel>(spectrum, "matrixTitle")->text().isEmpty());

    // Both runs are in the history, and Compare shows them.
    compareAllRuns(window, fixture.selection, 2);
  }

  // Closing the window during training loses nothing: the run goes on, and a new window finds it.
  void theWindowMayClose() {
    qputenv("FAKE_MS", "10");
    qputenv("FAKE_STEPS", "200");
    UiFixture fixture;
    QString run;
    {
      MainWindow window(fixture.context);
      window.show();
      // Shortcuts act in the active window only, and the one before may still be leaving.
      QVERIFY(QTest::qWaitForWindowActive(&window));
      navigate(window, "New run");
      auto* newRun = static_cast<NewRunView*>(window.view("newrun"));
      QTRY_VERIFY(newRun->consequences()->startButton()->isEnabled());
      QTest::keyClick(newRun, Qt::Key_Return, Qt::ControlModifier);
      auto* live = static_cast<LiveView*>(window.view("live"));
      QTRY_VERIFY2_WITH_TIMEOUT(live->history().step() > 10,
                                qPrintable(QString("run '%1', state %2, window active: %3")
                                               .arg(live->runId(), QString::fromStdString(live->history().state()))
                                               .arg(window.isActiveWindow())),
                                60000);
      run = live->runId();
    }
    fixture.selection.set({});
    QTest::qWait(300);
    MainWindow again(fixture.context);
    again.show();
    navigate(again, "Live");
    auto* live = static_cast<LiveView*>(again.view("live"));
    QTRY_VERIFY(!live->runId().isEmpty());
    QCOMPARE(live->runId(), run);
    QTRY_COMPARE_WITH_TIMEOUT(live->history().state(), std::string("finished"), 20000);
    QCOMPARE(live->history().clock().size(), size_t{200});
  }
};

QTEST_MAIN(EndToEndTest)
#include "end_to_end.moc"

// A finished run's result by clicks and keys in the main window: merged, exported, taken back in; refused where something
// stands; its failure told. With fake_trainer and, where it is built, with rankscope-train on the starter model.
#include <QDesktopServices>
#include <QLabel>
#include <QComboBox>
#include <QLineEdit>
#include <QLocale>
#include <QProcess>
#include <QPushButton>
#include <QRadioButton>
#include <QTableWidget>
#include <QtTest>

#include "core/config/files.h"
#include "core/config/run_config.h"
#include "core/runlog/uuid.h"
#include "core/store/store.h"
#include "tests/support/ui_fixture.h"
#include "ui/library/evaluate_dialog.h"
#include "ui/library/import_dialog.h"
#include "ui/library/library_details.h"
#include "ui/library/library_view.h"
#include "ui/library/output_dialog.h"
#include "ui/live/live_view.h"
#include "ui/newrun/consequences_panel.h"
#include "ui/newrun/newrun_view.h"
#include "ui/newrun/run_draft.h"
#include "ui/runs/run_table.h"
#include "ui/runs/runs_model.h"
#include "ui/runs/runs_view.h"
#include "ui/shell/error_text.h"
#include "ui/shell/job_result.h"
#include "ui/shell/main_window.h"
#include "ui/shell/queue_panel.h"
#include "ui/shell/toast.h"

using namespace rankscope;
using namespace rankscope::ui;
using rankscope::test::UiFixture;

namespace {

const std::vector<std::string> kQuickRun = {
    "name=reviews r4",       "model.path=starter:model",      "data.task=instruction", "data.train=starter:data/reviews_train.jsonl",
    "data.columns.answer=review", "data.template={place} {label}", "data.max_length=48", "data.train_limit=40",
    "data.eval_limit=8",     "train.max_steps=4",             "train.batch_size=4",    "train.threads=1",
    "method.name=lora",      "method.rank=4",                 "optim.learning_rate=0.01"};

}  // namespace

class RunExchangeTest : public QObject {
  Q_OBJECT

  std::unique_ptr<UiFixture> m_fixture;
  std::unique_ptr<MainWindow> m_window;
  QString m_run;

  void prepare(const QString& program) {
    m_fixture = std::make_unique<UiFixture>(program);
    qputenv("FAKE_MS", "0");
    qputenv("FAKE_STEPS", "60");
    RunConfig config;
    for (const ValidationIssue& issue : config.assign(kQuickRun)) QFAIL(issue.error.message().c_str());
    m_run = QString::fromStdString(newUuid());
    const auto file = m_fixture->places.home / "run.json";
    QVERIFY(writeFileAtomically(file, config.toJson().dump()).ok());
    QProcess train;
    train.start(program, {"--home", m_fixture->home.path(), "train", "--config", QString::fromStdString(file.string()), "--id", m_run});
    QVERIFY(train.waitForFinished(120000));
    QVERIFY2(train.exitCode() == 0, train.readAllStandardError().constData());
    m_fixture->store->ingestNow();
    m_window = std::make_unique<MainWindow>(m_fixture->context);
    m_window->resize(1440, 900);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
    m_window->showView("runs");
    auto* runs = static_cast<RunsView*>(m_window->view("runs"));
    QTRY_COMPARE(runs->model()->total(), 1);
    QTRY_VERIFY(runs->model()->rowAt(0) && runs->model()->rowAt(0)->status == "finished");
    runs->table()->view()->selectRow(0);
  }
  // Opens the dialog from Runs by its key.
  OutputDialog* openDialog() {
    auto* runs = static_cast<RunsView*>(m_window->view("runs"));
    m_window->activateWindow();
    runs->table()->view()->setFocus();
    if (!QTest::qWaitFor([&] { return m_window->isActiveWindow() && runs->table()->view()->hasFocus(); }, 5000)) return nullptr;
    QTest::keyClick(runs->table()->view(), Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier);
    OutputDialog* dialog = nullptr;
    if (!QTest::qWaitFor([&] { return (dialog = m_window->findChild<OutputDialog*>()) && dialog->isVisible(); }, 5000)) return nullptr;
    return dialog;
  }
  static void type(QLineEdit* edit, const QString& text) {
    edit->setFocus();
    edit->selectAll();
    QTest::keyClicks(edit, text);
  }
  Toast* toast() const { return m_window->findChild<Toast*>(); }
  void press(const QString& text) {
    for (auto* button : toast()->findChildren<QPushButton*>())
      if (button->text() == text && button->isVisible()) return QTest::mouseClick(button, Qt::LeftButton);
    QFAIL(qPrintable("no button " + text));
  }

 private Q_SLOTS:
  void cleanup() {
    m_window.reset();
    m_fixture.reset();
    qunsetenv("FAKE_OUTPUT_FAILS");
  }

  void thereAndBack_data() {
    QTest::addColumn<QString>("program");
    QTest::addRow("fake trainer") << rankscope::test::fakeTrainer();
    const auto real = QStringLiteral(RANKSCOPE_BIN_DIR "/rankscope-train");
    if (QFile::exists(real)) QTest::addRow("real trainer") << real;
  }

  void thereAndBack() {
    QFETCH(QString, program);
    const bool real = program != rankscope::test::fakeTrainer();
    prepare(program);
    if (QTest::currentTestFailed()) return;

    // Merged, to the place that is proposed.
    OutputDialog* dialog = openDialog();
    QVERIFY(dialog);
    auto* ok = dialog->findChild<QPushButton*>("outputOk");
    auto* destination = dialog->findChild<QLineEdit*>("destination");
    QTRY_VERIFY(ok->isEnabled());
    QCOMPARE(rankscope::test::unnamedControls(dialog), QStringList());
    const QString merged = QString::fromStdString((m_fixture->places.models / "reviews-r4-merged").string());
    QCOMPARE(destination->text(), merged);
    QVERIFY(dialog->findChild<QLabel*>("outputCommand")->text().startsWith("rankscope-train merge " + m_run + " --out "));
    // In files of a size that is asked for; what is no size is refused beside the field.
    auto* shard = dialog->findChild<QLineEdit*>("outputShard");
    auto* shardNote = dialog->findChild<QLabel*>("outputShardNote");
    QCOMPARE(shard->text(), QLocale().toString(5.0));
    QVERIFY(!dialog->findChild<QLabel*>("outputCommand")->text().contains("--shard-size"));
    for (const char* wrong : {"0", "many", "-3", "9e9"}) {
      type(shard, wrong);
      QVERIFY(shardNote->isVisible() && shardNote->text().contains("gigabytes from"));
      QVERIFY(!ok->isEnabled() && ok->toolTip() == shardNote->text());
    }
    type(shard, "0,005");
    QVERIFY(ok->isEnabled());
    QVERIFY(dialog->findChild<QLabel*>("outputCommand")->text().endsWith("--shard-size 0.005"));
    if (real) QCOMPARE(shardNote->text(), QString("About 2 files, with an index"));
    QTest::mouseClick(ok, Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(toast()->text().startsWith("Merged reviews r4"), 120000);
    QVERIFY2(toast()->text().contains("outputs equal: largest difference"), qPrintable(toast()->text()));
    QVERIFY(QFile::exists(merged + "/config.json"));
    if (real) QVERIFY(QFile::exists(merged + "/model-00001-of-00002.safetensors") && QFile::exists(merged + "/model.safetensors.index.json"));

    // The result has a page, from the notice and from the queue.
    press("Show the result");
    auto* page = m_window->findChild<JobResultDialog*>();
    QVERIFY(page && page->isVisible());
    QVERIFY(page->findChild<QLabel*>("resultCheck")->text().contains("answers as the trained model does"));
    QVERIFY(page->findChild<QTableWidget*>("resultFiles")->rowCount() >= 3);
    QCOMPARE(rankscope::test::unnamedControls(page), QStringList());
    QTest::mouseClick(page->findChild<QPushButton*>("useResult"), Qt::LeftButton);
    QCOMPARE(m_window->currentViewId(), QString("newrun"));
    const auto jobs = m_window->queuePanel()->model();
    QVERIFY(jobs->index(0, QueueModel::Detail).data().toString().contains("outputs equal"));

    // There a second time: another name is proposed, and the first is refused with the reason.
    m_window->showView("runs");
    dialog = openDialog();
    QVERIFY(dialog);
    ok = dialog->findChild<QPushButton*>("outputOk");
    destination = dialog->findChild<QLineEdit*>("destination");
    QTRY_COMPARE(destination->text(), merged + "-2");
    type(destination, merged);
    auto* problem = dialog->findChild<QLabel*>("destinationProblem");
    QTRY_VERIFY(problem->isVisible() && problem->text().contains("Nothing is overwritten"));
    QVERIFY(!ok->isEnabled());

    // As an adapter instead.
    QTest::mouseClick(dialog->findChild<QRadioButton*>("outputKind:1"), Qt::LeftButton, {}, QPoint(8, 8));
    const QString adapter = m_fixture->home.path() + "/out/reviews adapter";
    type(destination, adapter);
    QTRY_VERIFY(ok->isEnabled());
    QVERIFY(dialog->findChild<QLabel*>("outputCommand")->text().contains("export"));
    QTest::mouseClick(ok, Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(toast()->text().startsWith("Exported reviews r4"), 120000);
    QVERIFY(toast()->text().contains("outputs equal"));

    if (!real) return;
    // And back in, as another run.
    m_window->showView("library");
    auto* library = static_cast<LibraryView*>(m_window->view("library"));
    QTRY_VERIFY(!library->scanning());
    m_window->activateWindow();
    library->table()->setFocus();
    QTRY_VERIFY(library->table()->hasFocus());
    QTest::keyClick(library->table(), Qt::Key_I, Qt::ControlModifier);
    auto* import = library->findChild<ImportDialog*>();
    QVERIFY(import);
    type(import->findChild<QLineEdit*>("importAdapter"), adapter);
    auto* importOk = import->findChild<QPushButton*>("importOk");
    QTRY_VERIFY2(importOk->isEnabled(), qPrintable(import->findChild<QLabel*>("importProblem")->text()));
    type(import->findChild<QLineEdit*>("importName"), "came back");
    QTest::mouseClick(importOk, Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(toast()->text().startsWith("Imported came back"), 120000);
    QVERIFY2(toast()->text().contains("outputs equal"), qPrintable(toast()->text()));
    auto* runs = static_cast<RunsView*>(m_window->view("runs"));
    QTRY_COMPARE(runs->model()->total(), 2);
    // Its figures on data, from there: it has none of its own.
    press("Show the result");
    QTRY_VERIFY((page = m_window->findChild<JobResultDialog*>()) && page->isVisible());
    QTest::mouseClick(page->findChild<QPushButton*>("evaluateResultRun"), Qt::LeftButton);
    EvaluateDialog* evaluation = nullptr;
    QTRY_VERIFY((evaluation = m_window->findChild<EvaluateDialog*>()) && evaluation->isVisible());
    QCOMPARE(rankscope::test::unnamedControls(evaluation), QStringList());
    QVERIFY(!evaluation->findChild<QRadioButton*>("evaluateOwn")->isEnabled());
    auto* evaluateOk = evaluation->findChild<QPushButton*>("evaluateOk");
    auto* about = evaluation->findChild<QLabel*>("evaluateAbout");
    auto* data = evaluation->findChild<QLineEdit*>("evaluateData");
    type(data, "/absent.jsonl");
    QTRY_VERIFY(about->isVisible() && !about->text().isEmpty());
    QVERIFY(!evaluateOk->isEnabled());
    type(data, "starter:data/reviews_train.jsonl");
    QTRY_VERIFY2(about->text().contains("rows of jsonl"), qPrintable(about->text()));
    auto* task = evaluation->findChild<QComboBox*>("evaluateTask");
    task->setCurrentIndex(task->findData("instruction"));
    auto* options = evaluation->findChild<QLineEdit*>("evaluateOptions");
    type(options, "data.columns.anser=review");
    QVERIFY(evaluation->findChild<QLabel*>("evaluateOptionsNote")->text().contains("data.columns.answer"));
    QVERIFY(!evaluateOk->isEnabled());
    // Columns that the data has not.
    type(options, "data.columns.answer=opinion");
    QTRY_VERIFY2(about->text().contains("No such column") && about->text().contains("opinion"), qPrintable(about->text()));
    QVERIFY(!evaluateOk->isEnabled());
    type(options, "data.columns.answer=review \"data.template={place} {label}\" data.max_length=48");
    QTRY_VERIFY(evaluateOk->isEnabled());
    QTest::mouseClick(evaluateOk, Qt::LeftButton);
    QTRY_VERIFY2_WITH_TIMEOUT(toast()->text().startsWith("Evaluated came back"), qPrintable(toast()->text()), 120000);
    QVERIFY2(toast()->text().contains("loss"), qPrintable(toast()->text()));
    press("Show the result");
    QTRY_VERIFY((page = m_window->findChild<JobResultDialog*>()) && page->isVisible());
    QVERIFY(page->findChild<QTableWidget*>("resultScores")->rowCount() >= 1);
    page->close();
    // And in the run's record.
    const auto back = [&]() -> const RunRow* {
      for (int row = 0; row < runs->model()->rowCount(); ++row)
        if (const RunRow* each = runs->model()->rowAt(row); each && each->name == "came back") return each;
      return nullptr;
    };
    QTRY_VERIFY(back() && back()->metrics.count("eval@reviews_train.jsonl/loss"));
    // From the import's result it goes on with data, through the queue: a run of its own that begins with the adapter's weights.
    for (int row = 0; row < jobs->rowCount(); ++row)
      if (const Job* job = jobs->jobAt(row); job && job->spec.kind == "import") Q_EMIT m_window->queuePanel()->resultAsked(*job);
    QTRY_VERIFY((page = m_window->findChild<JobResultDialog*>()) && page->isVisible());
    QTest::mouseClick(page->findChild<QPushButton*>("goOnFromResult"), Qt::LeftButton);
    QTRY_COMPARE(m_window->currentViewId(), QString("newrun"));
    auto* newRun = static_cast<NewRunView*>(m_window->view("newrun"));
    auto* parent = newRun->findChild<QLabel*>("parentText");
    QTRY_VERIFY(parent->isVisible() && parent->text().contains("came back"));
    newRun->draft()->setText("name", "goes on");
    for (const std::string& assignment : kQuickRun)
      if (assignment.rfind("data.", 0) == 0 || assignment.rfind("train.", 0) == 0) {
        const size_t cut = assignment.find('=');
        newRun->draft()->setText(QString::fromStdString(assignment.substr(0, cut)), QString::fromStdString(assignment.substr(cut + 1)));
      }
    auto* panel = newRun->consequences();
    QTRY_VERIFY2_WITH_TIMEOUT(panel->queueButton()->isEnabled(),
                              qPrintable(newRun->draft()->issues().empty() ? QString() : errorText(newRun->draft()->issues().front().error)), 20000);
    QVERIFY2(panel->commandLine().startsWith("rankscope-train branch "), qPrintable(panel->commandLine()));
    QTest::mouseClick(panel->queueButton(), Qt::LeftButton);
    const auto child = [&]() -> const RunRow* {
      for (int row = 0; row < runs->model()->rowCount(); ++row)
        if (const RunRow* each = runs->model()->rowAt(row); each && each->name == "goes on") return each;
      return nullptr;
    };
    QTRY_VERIFY_WITH_TIMEOUT(child() && child()->status == "finished", 120000);
    QCOMPARE(child()->step, int64_t{4});
    QTest::mouseClick(newRun->findChild<QPushButton*>("leaveParent"), Qt::LeftButton);
    QVERIFY(!parent->isVisible());
    QVERIFY(panel->commandLine().startsWith("rankscope-train train"));
    // The merged model is in the library, with its head and without a problem.
    m_window->showView("library", {{"item", "models:reviews-r4-merged"}});
    QTRY_COMPARE(library->details()->fact("Heads in it"), QString("language model"));
    QVERIFY(!library->findChild<QLabel*>("libraryProblems")->isVisible());
  }

  // A finished run on its own data, by the key and by the button beside its details.
  void evaluates() {
    prepare(rankscope::test::fakeTrainer());
    if (QTest::currentTestFailed()) return;
    auto* runs = static_cast<RunsView*>(m_window->view("runs"));
    runs->table()->view()->setFocus();
    QTRY_VERIFY(runs->table()->view()->hasFocus());
    QTest::keyClick(runs->table()->view(), Qt::Key_E);
    EvaluateDialog* dialog = nullptr;
    QTRY_VERIFY((dialog = m_window->findChild<EvaluateDialog*>()) && dialog->isVisible());
    QVERIFY(dialog->findChild<QRadioButton*>("evaluateOwn")->isChecked());
    QVERIFY(dialog->findChild<QRadioButton*>("evaluateOwn")->text().contains("reviews_train"));
    QCOMPARE(dialog->findChild<QLabel*>("evaluateCommand")->text(), "rankscope-train eval " + m_run);
    QVERIFY(!dialog->findChild<QLineEdit*>("evaluateData")->isVisible());
    QTest::keyClick(dialog, Qt::Key_Return);
    QTRY_VERIFY_WITH_TIMEOUT(toast()->text().startsWith("Evaluated reviews r4"), 20000);
    QVERIFY2(toast()->text().contains("accuracy 0.8725"), qPrintable(toast()->text()));
    auto* button = runs->findChild<QPushButton*>("evaluateRun");
    QTRY_VERIFY(button->isVisible());
    QTest::mouseClick(button, Qt::LeftButton);
    QTRY_VERIFY((dialog = m_window->findChild<EvaluateDialog*>()) && dialog->isVisible());
    QTest::mouseClick(dialog->findChild<QRadioButton*>("evaluateOther"), Qt::LeftButton, {}, QPoint(8, 8));
    auto* data = dialog->findChild<QLineEdit*>("evaluateData");
    QTRY_VERIFY(data->hasFocus());
    QVERIFY(!dialog->findChild<QPushButton*>("evaluateOk")->isEnabled());
    QTest::keyClicks(data, "/data/other.jsonl");
    QTRY_VERIFY(dialog->findChild<QPushButton*>("evaluateOk")->isEnabled());
    QVERIFY(dialog->findChild<QLabel*>("evaluateAbout")->text().contains("1,800 rows of jsonl"));
    QTest::mouseClick(dialog->findChild<QPushButton*>("evaluateOk"), Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(toast()->isVisible() && toast()->text().startsWith("Evaluated"), 20000);
    press("Show the result");
    auto* page = m_window->findChild<JobResultDialog*>();
    QVERIFY(page && page->isVisible());
    auto* scores = page->findChild<QTableWidget*>("resultScores");
    QCOMPARE(scores->rowCount(), 2);
    QCOMPARE(scores->item(0, 0)->text(), QString("accuracy"));
    QCOMPARE(scores->item(0, 1)->text(), QString("0.8725"));
    QCOMPARE(rankscope::test::unnamedControls(page), QStringList());
  }

  void aFailureIsToldAndStays() {
    prepare(rankscope::test::fakeTrainer());
    if (QTest::currentTestFailed()) return;
    qputenv("FAKE_OUTPUT_FAILS", "1");
    // From Live this time: the button stands beside a finished run.
    m_window->showView("live", {{"run", m_run}});
    auto* save = m_window->findChild<QPushButton*>("saveResult");
    QTRY_VERIFY(save->isVisible());
    QTest::mouseClick(save, Qt::LeftButton);
    QTRY_VERIFY(m_window->findChild<OutputDialog*>());
    auto* dialog = m_window->findChild<OutputDialog*>();
    auto* ok = dialog->findChild<QPushButton*>("outputOk");
    QTRY_VERIFY(ok->isEnabled());
    QTest::mouseClick(ok, Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(toast()->text().startsWith("Merge of reviews r4 failed"), 20000);
    QVERIFY(toast()->text().contains("does not answer as the trained model does"));
    press("Show the result");
    auto* page = m_window->findChild<JobResultDialog*>();
    QVERIFY(page);
    QVERIFY(page->findChild<QLabel*>("errorHint")->text().contains("Do not use the folder"));
    QVERIFY(!page->findChild<QPushButton*>("openResultFolder"));
  }
};

QTEST_MAIN(RunExchangeTest)
#include "run_exchange.moc"

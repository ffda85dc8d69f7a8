// The main job by mouse and keyboard alone: a preset, another model and other data, column roles, the training's length,
// then twins of all four headline methods through the queue, watched until the last has finished and seen in Compare. The
// command line that the page shows is run too, and must give the same weights to the last bit.
#include <QDialog>
#include <QDialogButtonBox>
#include <QFile>
#include <QLabel>
#include <QProcess>
#include <QPushButton>
#include <QtTest>

#include "core/config/files.h"
#include "core/store/store.h"
#include "tests/gui/window_steps.h"
#include "tests/support/ui_fixture.h"
#include "ui/newrun/consequences_panel.h"
#include "ui/newrun/run_draft.h"
#include "ui/shell/error_text.h"

using namespace rankscope;
using namespace rankscope::ui;
using namespace rankscope::test;

namespace {

const QString kTrainer = QStringLiteral(RANKSCOPE_BIN_DIR "/rankscope-train");

using Fields = QList<QPair<QString, QString>>;  // option and what is typed or chosen, in this order

std::string weights(const std::filesystem::path& run) {
  for (const char* file : {"adapter/adapter_model.safetensors", "model/model.safetensors"}) {
    if (Result<std::string> bytes = readFileBounded(run / file, size_t{1} << 30)) return *bytes;
  }
  return {};
}

}  // namespace

class MainJobTest : public QObject {
  Q_OBJECT

  static void fill(NewRunView* view, const Fields& fields) {
    for (const auto& [key, value] : fields) {
      const QString role = key.section('.', -1);
      if (key.startsWith("data.columns.")) {
        choose(seen<QComboBox>(view, "role:" + role), value);
      } else if (auto* box = seen<QComboBox>(view, "edit:" + key)) {
        choose(box, value);
      } else {
        auto* edit = seen<QWidget>(view, "edit:" + key);
        QVERIFY2(edit, qPrintable(key + " is not on the page"));
        type(edit, value);
      }
    }
  }

 private Q_SLOTS:
  void fourMethods_data() {
    QTest::addColumn<QString>("preset");
    QTest::addColumn<Fields>("model");
    QTest::addColumn<Fields>("data");
    QTest::addColumn<Fields>("training");
    QTest::addColumn<QString>("metric");
    if (!QFile::exists(kTrainer)) return;
    QTest::addRow("starter") << "starter-reviews" << Fields{} << Fields{{"data.train_limit", "40"}, {"data.eval_limit", "10"}}
                             << Fields{{"train.max_steps", "6"}, {"train.batch_size", "4"}} << "eval/loss";
    const auto shared = qEnvironmentVariable("RANKSCOPE_SHARED") + "/data/";
    const auto models = qEnvironmentVariable("HOME") + "/.local/share/rankscope/models/";
    const auto stories = shared + "models/stories260K/hf", shakespeare = shared + "lm_text/tinyshakespeare/input.txt";
    if (QFile::exists(stories) && QFile::exists(shakespeare)) {
      QTest::addRow("stories260K, tinyshakespeare")
          << "starter-reviews" << Fields{{"model.path", stories}}
          << Fields{{"data.task", "causal_lm"}, {"data.train", shakespeare}, {"data.eval", ""}, {"data.train_limit", "40"},
                    {"data.eval_limit", "8"}}
          << Fields{{"train.max_steps", "6"}, {"train.batch_size", "4"}} << "eval/perplexity";
    }
    for (const QString task : {"MRPC", "CoLA"}) {
      const auto folder = shared + "glue/" + task;
      if (!QFile::exists(models + "all-MiniLM-L6-v2") || !QFile::exists(folder)) continue;
      QTest::addRow("MiniLM, %s", qPrintable(task))
          << "minilm-reviews" << Fields{}
          << Fields{{"data.train", folder + "/train.tsv"}, {"data.eval", folder + "/dev.tsv"}, {"data.columns.text", ""},
                    {"data.columns.label", ""}, {"data.train_limit", "200"}, {"data.eval_limit", "40"}}
          << Fields{{"train.max_steps", "6"}, {"train.batch_size", "8"}} << (task == "CoLA" ? "eval/matthews" : "eval/f1");
    }
  }

  void fourMethods() {
    QFETCH(QString, preset);
    QFETCH(Fields, model);
    QFETCH(Fields, data);
    QFETCH(Fields, training);
    QFETCH(QString, metric);
    UiFixture fixture(kTrainer);
    // A user's home has its models in its own folder; this one borrows them.
    const auto models = qEnvironmentVariable("HOME") + "/.local/share/rankscope/models";
    const auto own = QString::fromStdString(fixture.places.models.string());
    if (QFile::exists(models)) {
      QDir().rmdir(own);
      QVERIFY(QFile::link(models, own));
    }
    MainWindow window(fixture.context);
    window.resize(1440, 900);
    window.show();
    QVERIFY(QTest::qWaitForWindowExposed(&window));

    navigate(window, "New run");
    auto* newRun = static_cast<NewRunView*>(window.view("newrun"));
    QTRY_VERIFY(!newRun->draft()->presetName().isEmpty());
    choose(seen<QComboBox>(newRun, "presetBox"), preset);
    QTRY_COMPARE(newRun->draft()->presetName(), preset);
    fill(newRun, model);
    step(newRun, "data");
    if (auto* more = seen<QToolButton>(newRun, "more")) QTest::mouseClick(more, Qt::LeftButton);
    fill(newRun, data);
    step(newRun, "training");
    fill(newRun, training);
    auto* panel = newRun->consequences();
    QTRY_VERIFY2_WITH_TIMEOUT(panel->startButton()->isEnabled(), qPrintable([&] {
      QStringList mistakes;
      for (const auto& issue : newRun->draft()->issues()) mistakes << errorText(issue.error);
      return mistakes.join('\n');
    }()), 20000);
    QTRY_VERIFY_WITH_TIMEOUT(seen<QLabel>(newRun, "trainable")->text().contains('%'), 60000);
    const QString command = panel->commandLine();

    // Twins: the headline methods are ticked.
    QTest::mouseClick(seen<QPushButton>(newRun, "twinRun"), Qt::LeftButton);
    QDialog* dialog = nullptr;
    QTRY_VERIFY((dialog = seen<QDialog>(&window, "twinDialog")) != nullptr);
    auto* add = dialog->findChild<QDialogButtonBox*>()->button(QDialogButtonBox::Ok);
    QCOMPARE(add->text(), QString("Add 4 runs to the queue"));
    QTest::mouseClick(add, Qt::LeftButton);

    Result<std::unique_ptr<Store>> store = Store::open(fixture.places.store, Store::Mode::ReadOnly);
    QVERIFY(store.ok());
    std::vector<RunRow> rows;
    const auto finished = [&] {
      Result<RunPage> listed = (*store)->listRuns({});
      if (!listed) return size_t{0};
      rows = listed->rows;
      return static_cast<size_t>(std::count_if(rows.begin(), rows.end(), [](const RunRow& row) { return row.status == "finished"; }));
    };
    QTRY_COMPARE_WITH_TIMEOUT(finished(), size_t{4}, 240000);
    QStringList methods;
    for (const RunRow& row : rows) methods << QString::fromStdString(row.method);
    methods.sort();
    QCOMPARE(methods, QStringList({"full", "lora", "reflora", "rora"}));

    compareAllRuns(window, fixture.selection, 4);
    if (QTest::currentTestFailed()) return;

    // The line that the page showed, in another home.
    QTemporaryDir other;
    QDir(other.path()).mkpath("models");
    QDir(other.path()).rmdir("models");
    if (QFile::exists(models)) QVERIFY(QFile::link(models, other.filePath("models")));
    QVERIFY2(command.startsWith("rankscope-train train "), qPrintable(command));
    QProcess shell;
    shell.setProcessChannelMode(QProcess::MergedChannels);
    shell.start("sh", {"-c", kTrainer + " --home '" + other.path() + "' -q " + command.mid(16)});
    QVERIFY(shell.waitForFinished(120000));
    QVERIFY2(shell.exitCode() == 0, shell.readAll().constData());
    const auto runs = QDir(other.filePath("runs")).entryList(QDir::Dirs | QDir::NoDotAndDotDot);
    QCOMPARE(runs.size(), 1);
    const auto row = std::find_if(rows.begin(), rows.end(), [](const RunRow& r) { return r.method == "lora"; });
    QVERIFY2(row->metrics.contains(metric.toStdString()), qPrintable(metric));
    const std::string byHand = weights(fixture.places.runs / row->id);
    const std::string byCommand = weights(std::filesystem::path(other.filePath("runs/" + runs.front()).toStdString()));
    QVERIFY(!byHand.empty());
    QVERIFY(byHand == byCommand);
  }
};

QTEST_MAIN(MainJobTest)
#include "main_job.moc"

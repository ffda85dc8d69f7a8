// Pictures of New run, Live, Spectrum, Library and the ways in and out in states worth looking at (mistakes, changes, a running run, a failed one), in
// every method's page at two sizes, in both themes at 1440 × 900 otherwise: gui_screens DIR. Uses fake_trainer, so the numbers are made up; see screenshots.sh.
#include <QApplication>
#include <QDir>
#include <QGridLayout>
#include <QLineEdit>
#include <QProcess>
#include <QPushButton>
#include <QRadioButton>
#include <QTabWidget>
#include <QTest>
#include <QToolButton>

#include "core/config/files.h"
#include "core/config/method_texts.h"
#include "core/config/run_config.h"
#include "core/runlog/uuid.h"
#include "tests/support/ui_fixture.h"
#include "ui/library/evaluate_dialog.h"
#include "ui/library/import_dialog.h"
#include "ui/library/library_details.h"
#include "ui/library/library_view.h"
#include "ui/library/output_dialog.h"
#include "ui/library/run_exchange.h"
#include "ui/live/live_view.h"
#include "ui/live/run_controls.h"
#include "ui/newrun/consequences_panel.h"
#include "ui/newrun/method_drawing.h"
#include "ui/newrun/newrun_view.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/step_rail.h"
#include "ui/newrun/twin_dialog.h"
#include "ui/shell/job_result.h"
#include "ui/shell/main_window.h"
#include "ui/shell/toast.h"
#include "ui/spectrum/spectrum_view.h"

using namespace rankscope;
using namespace rankscope::ui;

namespace {

QString startRun(const rankscope::test::UiFixture& fixture, const QString& name, const QStringList& environment, bool wait) {
  RunConfig config;
  (void)config.set("name", name.toStdString());
  (void)config.set("method.name", "reflora");
  const auto id = newUuid();
  const auto file = fixture.places.home / (id + ".json");
  (void)writeFileAtomically(file, config.toJson().dump());
  auto* process = new QProcess(qApp);
  process->setEnvironment(QProcess::systemEnvironment() + environment);
  process->start(rankscope::test::fakeTrainer(), {"--home", fixture.home.path(), "train", "--config",
                                                  QString::fromStdString(file.string()), "--id", QString::fromStdString(id)});
  process->waitForStarted();
  if (wait) process->waitForFinished(30000);
  return QString::fromStdString(id);
}

}  // namespace

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  const QString folder = argc > 1 ? QString::fromLocal8Bit(argv[1]) : QStringLiteral("screens");
  const QString only = argc > 2 ? QString::fromLocal8Bit(argv[2]) : QString();
  QDir().mkpath(folder);
  rankscope::test::UiFixture fixture;
  const auto finished = startRun(fixture, "reflora-r8-reviews-s0", {"FAKE_MS=0", "FAKE_STEPS=600", "FAKE_SITES=28"}, true);
  const auto failed = startRun(fixture, "lora-r64-reviews-s0", {"FAKE_MS=0", "FAKE_STEPS=300", "FAKE_FAIL_AT=212"}, true);
  const auto running = startRun(fixture, "rora-r16-reviews-s1", {"FAKE_MS=20", "FAKE_STEPS=9000", "FAKE_SITES=28"}, false);
  qputenv("FAKE_MS", "0");
  fixture.store->ingestNow();
  MainWindow window(fixture.context);
  window.resize(1440, 900);
  window.show();
  const auto shootWidget = [&](const QString& name, QWidget* widget) {
    if (!widget || (!only.isEmpty() && !name.contains(only))) return;
    for (const auto mode : {ThemeMode::Light, ThemeMode::Dark}) {
      Theme::instance().setMode(mode);
      QTest::qWait(350);
      widget->grab().save(QStringLiteral("%1/%2-%3.png").arg(folder, name, mode == ThemeMode::Light ? "light" : "dark"));
    }
  };
  const auto shoot = [&](const QString& name) { shootWidget(name, &window); };
  window.showView("newrun");
  auto* newRun = static_cast<NewRunView*>(window.view("newrun"));
  QTest::qWait(1500);
  for (const auto* page : {"model", "data", "method", "training"}) {
    newRun->rail()->choose(page);
    QTest::qWait(200);
    shoot(QStringLiteral("newrun-") + page);
  }
  {
    QWidget sheet;
    auto* grid = new QGridLayout(&sheet);
    int at = 0;
    for (const auto& text : methodTexts()) {
      auto* drawing = new MethodDrawing;
      drawing->setMethod(text.method, at % 3 == 0 ? 4 : at % 3 == 1 ? 16 : 128);
      drawing->setFixedWidth(420);
      grid->addWidget(drawing, at / 4, at % 4);
      ++at;
    }
    shootWidget("method-drawings", &sheet);
  }
  newRun->rail()->choose("method");
  const QSize usual = window.size();
  for (const QSize size : {usual, QSize(1100, 700)}) {
    window.resize(size);
    for (const auto& choice : findOption("method.name")->choices) {
      const QString name = QStringLiteral("method-%1-%2").arg(QString::fromStdString(choice.value)).arg(size.width());
      if (!only.isEmpty() && !name.contains(only)) continue;
      newRun->draft()->set("method.name", choice.value);
      QTest::qWait(300);
      shoot(name);
    }
  }
  // Everything unfolded, in a window as tall as it needs.
  window.resize(usual.width(), 1500);
  for (auto* fold : window.findChildren<QToolButton*>("publishedFold")) fold->setChecked(true);
  for (const auto* method : {"qlora", "reflora", "lora_ga", "adalora"}) {
    const QString name = QStringLiteral("method-open-") + method;
    if (!only.isEmpty() && !name.contains(only)) continue;
    newRun->draft()->set("method.name", method);
    QTest::qWait(300);
    for (auto* more : window.findChildren<QToolButton*>("more"))
      if (more->isVisible()) more->setChecked(true);
    QTest::qWait(300);
    shoot(name);
  }
  for (auto* fold : window.findChildren<QToolButton*>("publishedFold")) fold->setChecked(false);
  window.resize(usual);
  newRun->draft()->set("method.name", "reflora");
  newRun->draft()->set("method.rank", 32);
  newRun->draft()->set("method.rank_pattern", nlohmann::json{{"q_proj", 16}});
  newRun->draft()->set("method.target_modules", nlohmann::json::array({"q_proj", "v_proj", "layers.1.mlp.up_proj"}));
  newRun->draft()->setText("optim.learning_rate", "fast");
  newRun->draft()->setText("train.epochs", "0");
  newRun->rail()->choose("training");
  QTest::qWait(400);
  shoot("newrun-mistakes");
  newRun->rail()->choose("method");
  QTest::qWait(200);
  shoot("newrun-method-changed");
  newRun->rail()->choose("changed");
  QTest::qWait(200);
  shoot("newrun-changed");
  newRun->draft()->revert("optim.learning_rate");
  newRun->draft()->revert("train.epochs");
  newRun->findChild<QLineEdit*>("optionSearch")->setText("warm");
  QTest::qWait(400);
  newRun->consequences()->checkButton()->click();
  QTest::qWait(400);
  shoot("newrun-search");
  newRun->findChild<QLineEdit*>("optionSearch")->clear();

  newRun->draft()->setText("data.task", "image_classification");
  newRun->draft()->setText("data.train", "/data/flowers");
  newRun->draft()->setText("model.path", "/models/resnet20");
  for (const auto* page : {"model", "data"}) {
    newRun->rail()->choose(page);
    QTest::qWait(800);
    shoot(QStringLiteral("newrun-images-") + page);
  }

  window.showView("live", {{"run", finished}});
  QTest::qWait(600);
  shoot("live-finished");
  window.showView("live", {{"run", running}});
  QTest::qWait(1500);
  static_cast<LiveView*>(window.view("live"))->controls()->send(Command::Evaluate);
  QTest::qWait(600);
  shoot("live-running");
  window.showView("live", {{"run", failed}});
  QTest::qWait(600);
  shoot("live-failed");

  window.showView("spectrum", {{"run", finished}});
  QTest::qWait(400);
  shoot("spectrum-empty");
  static_cast<SpectrumView*>(window.view("spectrum"))->computeButton()->click();
  QTest::qWait(1200);
  shoot("spectrum");
  window.showView("library");
  auto* library = static_cast<LibraryView*>(window.view("library"));
  QTest::qWait(600);
  const auto choose = [&](const QString& path) {
    library->open({{"item", path}});
    QTest::qWait(300);
  };
  choose("starter:model");
  shoot("library");
  auto* tabs = library->details()->findChild<QTabWidget*>();
  tabs->setCurrentIndex(1);
  shoot("library-sites");
  tabs->setCurrentIndex(0);
  choose("/models/broken");
  shoot("library-problems");
  choose("/models/reviews-adapter");
  shoot("library-adapter");
  library->findChild<QPushButton*>("importAdapterButton")->click();
  QTest::qWait(800);
  if (auto* import = library->findChild<ImportDialog*>()) {
    shootWidget("import-dialog", import);
    import->reject();
  }
  window.showView("runs", {{"run", finished}});
  QTest::qWait(600);
  auto* exchange = window.view("runs")->findChild<RunExchange*>();
  exchange->saveResult(finished);
  QTest::qWait(800);
  if (auto* dialog = window.findChild<OutputDialog*>()) {
    shootWidget("output-dialog", dialog);
    auto* destination = dialog->findChild<QLineEdit*>("destination");
    const QString free = destination->text();
    dialog->findChild<QLineEdit*>("outputShard")->setText("none");
    shootWidget("output-dialog-shard", dialog);
    dialog->findChild<QLineEdit*>("outputShard")->setText("5");
    destination->setText(fixture.home.path());
    QTest::qWait(600);
    shootWidget("output-dialog-refused", dialog);
    destination->setText(free);
    QTest::qWait(600);
    dialog->accept();
    QTest::qWait(1500);
    shoot("toast");
    for (auto* button : window.findChild<Toast*>()->findChildren<QPushButton*>())
      if (button->text() == "Show the result") button->click();
    QTest::qWait(300);
    shootWidget("job-result", window.findChild<JobResultDialog*>());
    if (auto* page = window.findChild<JobResultDialog*>()) page->reject();
  }
  exchange->evaluate(finished);
  QTest::qWait(600);
  if (auto* dialog = window.findChild<EvaluateDialog*>()) {
    shootWidget("evaluate-dialog", dialog);
    dialog->findChild<QRadioButton*>("evaluateOther")->click();
    dialog->findChild<QLineEdit*>("evaluateData")->setText("/data/other.jsonl");
    QTest::qWait(600);
    shootWidget("evaluate-dialog-data", dialog);
    dialog->findChild<QLineEdit*>("evaluateOptions")->setText("data.columns.anser=review");
    shootWidget("evaluate-dialog-mistake", dialog);
    dialog->findChild<QLineEdit*>("evaluateOptions")->clear();
    dialog->accept();
    QTest::qWait(1500);
    for (auto* button : window.findChild<Toast*>()->findChildren<QPushButton*>())
      if (button->text() == "Show the result") button->click();
    QTest::qWait(300);
    shootWidget("evaluation-result", window.findChild<JobResultDialog*>());
    if (auto* page = window.findChild<JobResultDialog*>()) page->reject();
  }
  // The smallest window.
  window.resize(1100, 700);
  window.showView("library");
  shoot("small-library");
  window.showView("spectrum", {{"run", finished}});
  shoot("small-spectrum");
  window.showView("live", {{"run", finished}});
  shoot("small-live");
  window.showView("newrun");
  newRun->rail()->choose("method");
  shoot("small-newrun");
  for (auto* process : app.findChildren<QProcess*>()) {
    process->kill();
    process->waitForFinished(1000);
  }
  return 0;
}

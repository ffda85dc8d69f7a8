#include <QComboBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QLineEdit>
#include <QMessageBox>
#include <QProcess>
#include <QPushButton>
#include <QSlider>
#include <QToolButton>
#include <QtTest>

#include "core/config/files.h"
#include "core/config/run_config.h"
#include "core/runlog/uuid.h"
#include "core/store/store.h"
#include "tests/support/ui_fixture.h"
#include "ui/plots/heatmap.h"
#include "ui/plots/plot.h"
#include "ui/spectrum/matrix_panel.h"
#include "ui/spectrum/mitigation_panel.h"
#include "ui/spectrum/spectrum_view.h"

using namespace rankscope;
using namespace rankscope::ui;
using rankscope::test::UiFixture;

namespace {

// Two matrices of one layer; the first has `intruders` of them, more so the later the step.
RunSpectrum spectrumAt(int64_t step, int64_t intruders) {
  RunSpectrum spectrum;
  spectrum.step = step;
  spectrum.k = 4;
  spectrum.live = true;
  for (const char* kind : {"q_proj", "v_proj"}) {
    SiteSpectrum site;
    site.site = std::string("model.layers.0.self_attn.") + kind;
    site.kind = kind;
    site.layer = 0;
    site.outFeatures = site.inFeatures = 8;
    site.rank = 2;
    site.effectiveRank = 1.5;
    site.relativeUpdate = 0.001 * static_cast<double>(step);
    site.sigmaBefore = {4, 3, 2, 1, 1, 1, 1, 1};
    site.sigmaAfter = {5, 3, 2, 1};
    site.deltaSigma = {1, 0.5f};
    for (int64_t j = 0; j < 4; ++j) {
      site.maxCos.push_back(std::string(kind) == "q_proj" && j < intruders ? 0.2f : 0.95f);
      site.maxCosRight.push_back(0.9f);
    }
    site.cosRows = site.cosColumns = 4;
    site.cos.assign(16, 0.3f);
    site.cosRight.assign(16, 0.1f);
    site.insideShare = {0.1f, 0.2f, 0.3f, 0.4f};
    spectrum.sites.push_back(site);
  }
  return spectrum;
}

}  // namespace

class SpectrumViewTest : public QObject {
  Q_OBJECT

  std::unique_ptr<UiFixture> m_fixture;
  std::unique_ptr<SpectrumView> m_view;
  QString m_run;

  QString newRun() {
    const auto id = newUuid();
    const auto file = m_fixture->places.home / "c.json";
    if (!writeFileAtomically(file, RunConfig().toJson().dump()).ok()) qFatal("no config");
    QProcess train;
    train.setEnvironment(QProcess::systemEnvironment() + QStringList{"FAKE_MS=0", "FAKE_STEPS=60"});
    train.start(rankscope::test::fakeTrainer(), {"--home", m_fixture->home.path(), "train", "--config",
                                                 QString::fromStdString(file.string()), "--id", QString::fromStdString(id)});
    if (!train.waitForFinished(20000)) qFatal("no run");
    m_fixture->store->ingestNow();
    return QString::fromStdString(id);
  }
  void write(const QString& run, int64_t step, int64_t intruders) {
    QVERIFY(writeSpectrum(m_fixture->store->runFolder(run), spectrumAt(step, intruders)).ok());
  }
  template <typename T>
  T* part(const char* name) {
    return m_view->findChild<T*>(name);
  }

  std::optional<Job> newestJob() {
    std::optional<Job> newest;
    bool done = false;
    m_fixture->store->read(this, "job", [](Store& s) { return s.listJobs(true); }, [&](Result<std::vector<Job>> jobs) {
      if (jobs.ok())
        for (const Job& job : *jobs)
          if (!newest || job.id > newest->id) newest = job;
      done = true;
    });
    return QTest::qWaitFor([&] { return done; }, 5000) ? newest : std::nullopt;
  }

 private Q_SLOTS:
  void init() {
    m_fixture = std::make_unique<UiFixture>();
    m_run = newRun();
    m_view = std::make_unique<SpectrumView>(m_fixture->context);
    m_view->resize(1280, 820);
    m_view->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_view.get()));
    m_view->open({{"run", m_run}});
  }
  void cleanup() {
    m_view.reset();
    m_fixture.reset();
  }

  void computesShowsAndOpensAMatrix() {
    QTRY_COMPARE(m_view->computeButton()->text(), QString("Compute spectrum"));
    qputenv("FAKE_MS", "1");
    QTest::mouseClick(m_view->computeButton(), Qt::LeftButton);
    QCOMPARE(m_view->computeButton()->text(), QString("Cancel"));
    QTRY_VERIFY_WITH_TIMEOUT(!m_view->grid()->isEmpty(), 10000);
    QCOMPARE(m_view->grid()->rows(), 4);
    QCOMPARE(m_view->grid()->columns(), 7);
    QTRY_COMPARE(m_view->computeButton()->text(), QString("Compute again"));
    // Layer 0's second matrix has one intruder at ε 0.5.
    QCOMPARE(m_view->grid()->value(0, 1), 1.0f);
    m_view->grid()->setFocus();
    m_view->grid()->setSelected(0, 1);
    QTest::keyClick(m_view->grid(), Qt::Key_Return);
    QCOMPARE(m_view->matrix()->findChild<QLabel*>("matrixTitle")->text(), QString("model.layers.0.self_attn.k_proj"));
    QVERIFY(m_view->matrix()->findChild<QLabel*>("matrixFigures")->text().contains("1 intruders"));
    QVERIFY(m_view->matrix()->spectra()->hasCurve("before") && m_view->matrix()->spectra()->hasCurve("after"));
    QCOMPARE(m_view->matrix()->heatmap()->columns(), 64);
    // ε moves everything.
    auto* eps = m_view->findChild<QDoubleSpinBox*>("eps");
    eps->setFocus();
    eps->selectAll();
    QTest::keyClicks(eps, "0.05");
    QTest::keyClick(eps, Qt::Key_Return);
    QCOMPARE(m_view->grid()->value(0, 1), 0.0f);
    QVERIFY(m_view->matrix()->findChild<QLabel*>("matrixFigures")->text().contains("0 intruders"));
    QCOMPARE(rankscope::test::unnamedControls(m_view.get()), QStringList());
  }

  // The work is a job of the queue: it goes on without the view, and a view made later finds it.
  void goesOnWithoutTheView() {
    qputenv("FAKE_MS", "60");
    QTest::mouseClick(m_view->computeButton(), Qt::LeftButton);
    QTRY_VERIFY(newestJob() && newestJob()->state == JobState::Running && newestJob()->progress > 0);
    QCOMPARE(newestJob()->spec.kind, std::string("spectrum"));
    QCOMPARE(QString::fromStdString(newestJob()->spec.runId), m_run);
    QTRY_VERIFY(m_view->findChild<QLabel*>("spectrumState")->text().contains("self_attn"));
    m_view.reset();
    m_view = std::make_unique<SpectrumView>(m_fixture->context);
    m_view->show();
    m_view->open({{"run", m_run}});
    QTRY_COMPARE(m_view->computeButton()->text(), QString("Cancel"));
    QTRY_VERIFY_WITH_TIMEOUT(!m_view->grid()->isEmpty(), 15000);
    QCOMPARE(newestJob()->state, JobState::Done);
  }

  void aFailureIsSaid() {
    qputenv("FAKE_SPECTRUM_FAILS", "1");
    QTest::mouseClick(m_view->computeButton(), Qt::LeftButton);
    QTRY_VERIFY(m_view->findChild<QLabel*>("spectrumState")->text().contains("saved no weights"));
    qunsetenv("FAKE_SPECTRUM_FAILS");
    QCOMPARE(m_view->computeButton()->text(), QString("Compute spectrum"));
  }

  void cancelLeavesNothingHalfDone() {
    qputenv("FAKE_MS", "200");
    QTest::mouseClick(m_view->computeButton(), Qt::LeftButton);
    QTest::qWait(300);
    QTest::mouseClick(m_view->computeButton(), Qt::LeftButton);
    QTRY_COMPARE(m_view->computeButton()->text(), QString("Compute spectrum"));
    QCOMPARE(newestJob()->state, JobState::Cancelled);
    QVERIFY(m_view->findChild<QLabel*>("spectrumState")->text().contains("Cancelled"));
    QVERIFY(listSpectra(m_fixture->store->runFolder(m_run)).empty());
  }

  // One slider over the steps drives the grid, the matrix and its curves.
  void theScrubberDrivesEverything() {
    for (const int64_t step : {0, 20, 40, 60}) write(m_run, step, step / 20);
    m_view->onActivated();
    auto* scrubber = part<QSlider>("stepScrubber");
    QTRY_COMPARE(scrubber->maximum(), 3);
    QCOMPARE(scrubber->value(), 3);  // the newest
    QCOMPARE(m_view->grid()->value(0, 0), 3.0f);
    QCOMPARE(part<QLabel>("spectrumTotal")->text(), QString("3 intruders"));
    QVERIFY(part<QLabel>("spectrumState")->text().contains("while training"));
    scrubber->setFocus();
    QTest::keyClick(scrubber, Qt::Key_Left);
    QCOMPARE(m_view->grid()->value(0, 0), 2.0f);
    QCOMPARE(part<QComboBox>("spectrumStep")->currentText(), QString("40"));
    QVERIFY(m_view->matrix()->findChild<QLabel*>("matrixFigures")->text().contains("2 intruders"));
    QCOMPARE(m_view->matrix()->overTraining()->curveIds().size(), 5);  // four vectors and ε
    QTest::keyClick(scrubber, Qt::Key_Home);
    QCOMPARE(part<QLabel>("spectrumTotal")->text(), QString("0 intruders"));
    // A step that comes later does not move who looks at an earlier one.
    write(m_run, 80, 4);
    m_view->onActivated();
    QTRY_COMPARE(scrubber->maximum(), 4);
    QCOMPARE(part<QComboBox>("spectrumStep")->currentText(), QString("0"));
    QTest::keyClick(scrubber, Qt::Key_End);
    QCOMPARE(m_view->grid()->value(0, 0), 4.0f);
    write(m_run, 100, 1);
    m_view->onActivated();
    QTRY_COMPARE(part<QComboBox>("spectrumStep")->currentText(), QString("100"));
  }

  void bothSidesAndBothSliders() {
    write(m_run, 60, 2);
    m_view->onActivated();
    QTRY_VERIFY(!m_view->grid()->isEmpty());
    QCOMPARE(m_view->grid()->value(0, 0), 2.0f);
    auto* k = part<QSlider>("kSlider");
    QCOMPARE(k->maximum(), 4);
    k->setFocus();
    QTest::keyClick(k, Qt::Key_Home);
    QCOMPARE(m_view->grid()->value(0, 0), 1.0f);
    QTest::keyClick(k, Qt::Key_End);
    auto* side = part<QComboBox>("side");
    side->setFocus();
    QTest::keyClick(side, Qt::Key_Down);
    QCOMPARE(m_view->grid()->value(0, 0), 0.0f);
    QCOMPARE(m_view->matrix()->heatmap()->value(0, 0), 0.1f);
    auto* eps = part<QSlider>("epsSlider");
    eps->setFocus();
    QTest::keyClick(eps, Qt::Key_End);
    QCOMPARE(m_view->grid()->value(0, 0), 4.0f);
  }

  void twoRunsSideBySide() {
    const QString second = newRun();
    for (const int64_t step : {0, 30, 60}) write(m_run, step, step / 30);
    for (const int64_t step : {0, 40}) write(second, step, 4);
    m_view->onActivated();
    QTRY_VERIFY(!m_view->grid()->isEmpty());
    QCOMPARE(m_view->grid()->value(0, 0), 2.0f);
    QVERIFY(m_view->otherMatrix()->isHidden());
    QTest::mouseClick(part<QToolButton>("compareRuns"), Qt::LeftButton);
    auto* others = part<QComboBox>("otherRun");
    QVERIFY(others->isVisible());
    QTRY_VERIFY(others->findData(second) >= 0);
    others->setCurrentIndex(others->findData(second));
    Q_EMIT others->activated(others->currentIndex());
    QTRY_COMPARE(part<QLabel>("spectrumTotal")->text(), QString("2 and 4 intruders"));
    QVERIFY(m_view->otherMatrix()->isVisible());
    QVERIFY(m_view->otherMatrix()->findChild<QLabel*>("matrixFigures")->text().contains("4 intruders"));
    auto* shown = part<QComboBox>("shown");
    shown->setFocus();
    QTest::keyClick(shown, Qt::Key_End);
    QCOMPARE(m_view->grid()->value(0, 0), -2.0f);
    QCOMPARE(m_view->grid()->value(0, 1), 0.0f);
    QTest::keyClick(shown, Qt::Key_Up);
    QCOMPARE(m_view->grid()->value(0, 0), 4.0f);
    QCOMPARE(rankscope::test::unnamedControls(m_view.get()), QStringList());
    QTest::mouseClick(part<QToolButton>("compareRuns"), Qt::LeftButton);
    QVERIFY(m_view->otherMatrix()->isHidden());
    QCOMPARE(m_view->grid()->value(0, 0), 2.0f);
  }

  void mitigationShowsWhatWasMeasured() {
    write(m_run, 60, 2);
    MitigationCurve curve;
    curve.step = 60;
    curve.top = 10;
    curve.eps = 0.5;
    curve.intruders = 7;
    curve.text = "stories.txt";
    curve.baseTextLoss = 1.5;
    curve.points = {{0.5, {{"accuracy", 0.6}, {"loss", 0.8}}, 1.8, 0.01}, {1, {{"accuracy", 0.8}, {"loss", 0.5}}, 2.2, 0}};
    QVERIFY(writeMitigation(m_fixture->store->runFolder(m_run), curve).ok());
    QTest::mouseClick(part<QToolButton>("showMitigation"), Qt::LeftButton);
    auto* panel = m_view->mitigation();
    QTRY_VERIFY(panel->curve().has_value());
    QVERIFY(panel->plot()->hasCurve("task"));
    auto* facts = part<QLabel>("mitigationFacts");
    panel->slider()->setValue(75);
    QVERIFY2(facts->text().contains("accuracy about 0.7") && facts->text().contains("text loss about 2"), qPrintable(facts->text()));
    panel->slider()->setFocus();
    QTest::keyClick(panel->slider(), Qt::Key_End);
    QVERIFY2(facts->text().contains("accuracy 0.8") && facts->text().contains("of the base model 1.5"), qPrintable(facts->text()));
    QCOMPARE(part<QLineEdit>("mitigationText")->text(), QString("stories.txt"));
    QCOMPARE(panel->measureButton()->text(), QString("Measure at this λ"));
    QTest::mouseClick(panel->measureButton(), Qt::LeftButton);
    QTRY_VERIFY(newestJob() && newestJob()->spec.kind == "mitigate");
    QCOMPARE(newestJob()->spec.config.at("arguments"), (nlohmann::json{m_run.toStdString(), "--text", "stories.txt", "--at", "1"}));
    const QStringList unnamed = rankscope::test::unnamedControls(m_view.get());
    QVERIFY2(unnamed.isEmpty(), qPrintable(unnamed.join(", ")));
  }

  void decompositionsAreClearedWhenWished() {
    const auto folder = m_fixture->places.cache / "svd";
    std::filesystem::create_directories(folder);
    QVERIFY(writeFileAtomically(folder / "a.safetensors", std::string(2'000'000, 'x')).ok());
    const auto actions = m_view->viewActions();
    const auto clear = std::find_if(actions.begin(), actions.end(), [](QAction* action) { return action && action->text().startsWith("Clear base"); });
    QVERIFY(clear != actions.end());
    (*clear)->trigger();
    QMessageBox* box = nullptr;
    QTRY_VERIFY((box = m_view->findChild<QMessageBox*>("clearBaseSpectra")) && box->isVisible());
    QVERIFY2(box->text().contains("1 base weight, 2.0"), qPrintable(box->text()));
    box->reject();
    QVERIFY(std::filesystem::exists(folder / "a.safetensors"));
    (*clear)->trigger();
    QTRY_VERIFY((box = m_view->findChild<QMessageBox*>("clearBaseSpectra")) && box->isVisible());
    for (auto* button : box->buttons())
      if (box->buttonRole(button) == QMessageBox::DestructiveRole) QTest::mouseClick(button, Qt::LeftButton);
    QTRY_VERIFY(!std::filesystem::exists(folder / "a.safetensors"));
    QVERIFY(std::filesystem::exists(folder));
  }

  void aDamagedFileIsSaid() {
    const auto folder = m_fixture->store->runFolder(m_run) / "spectra";
    std::filesystem::create_directories(folder);
    QVERIFY(writeFileAtomically(folder / "step-00000010.json", "{\"sites\": 7").ok());
    m_view->onActivated();
    QTRY_VERIFY(!m_view->findChild<QLabel*>("spectrumState")->text().isEmpty());
    QVERIFY(m_view->grid()->isEmpty());
  }
};

QTEST_MAIN(SpectrumViewTest)
#include "spectrum_view.moc"

#include <QComboBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QProcess>
#include <QPushButton>
#include <QtTest>

#include "core/config/files.h"
#include "core/config/run_config.h"
#include "core/runlog/uuid.h"
#include "core/store/store.h"
#include "tests/support/ui_fixture.h"
#include "ui/plots/heatmap.h"
#include "ui/plots/plot.h"
#include "ui/spectrum/matrix_panel.h"
#include "ui/spectrum/spectrum_view.h"

using namespace rankscope;
using namespace rankscope::ui;
using rankscope::test::UiFixture;

class SpectrumViewTest : public QObject {
  Q_OBJECT

  std::unique_ptr<UiFixture> m_fixture;
  std::unique_ptr<SpectrumView> m_view;
  QString m_run;

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
    const auto id = newUuid();
    m_run = QString::fromStdString(id);
    const auto file = m_fixture->places.home / "c.json";
    QVERIFY(writeFileAtomically(file, RunConfig().toJson().dump()).ok());
    QProcess train;
    train.setEnvironment(QProcess::systemEnvironment() + QStringList{"FAKE_MS=0", "FAKE_STEPS=60"});
    train.start(rankscope::test::fakeTrainer(), {"--home", m_fixture->home.path(), "train", "--config",
                                                 QString::fromStdString(file.string()), "--id", m_run});
    QVERIFY(train.waitForFinished(20000));
    m_fixture->store->ingestNow();
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
    QCOMPARE(m_view->findChild<QLabel*>("matrixTitle")->text(), QString("model.layers.0.self_attn.k_proj"));
    QVERIFY(m_view->findChild<QLabel*>("matrixFigures")->text().contains("1 intruders"));
    QVERIFY(m_view->matrix()->spectra()->hasCurve("before") && m_view->matrix()->spectra()->hasCurve("after"));
    QCOMPARE(m_view->matrix()->heatmap()->columns(), 64);
    // ε moves everything.
    auto* eps = m_view->findChild<QDoubleSpinBox*>("eps");
    eps->setFocus();
    eps->selectAll();
    QTest::keyClicks(eps, "0.05");
    QTest::keyClick(eps, Qt::Key_Return);
    QCOMPARE(m_view->grid()->value(0, 1), 0.0f);
    QVERIFY(m_view->findChild<QLabel*>("matrixFigures")->text().contains("0 intruders"));
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

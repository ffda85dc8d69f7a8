// The program as a whole, started as a user starts it: one window per home, a clean end on a signal, a marker after a
// crash, and what it says about a view that does not exist.
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QLocalSocket>
#include <QProcess>
#include <QTemporaryDir>
#include <QtTest>

#include <csignal>

class WorkbenchProgram : public QObject {
  Q_OBJECT

  QTemporaryDir m_home;
  QString marker() const { return m_home.filePath("workbench.running"); }

  void start(QProcess& process, const QStringList& more = {}) const {
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(QStringLiteral(RANKSCOPE_BIN_DIR "/rankscope"), QStringList{"--home", m_home.path()} + more);
  }
  static int pidIn(const QString& file) {
    QFile in(file);
    return in.open(QIODevice::ReadOnly) ? in.readAll().toInt() : 0;
  }

 private Q_SLOTS:
  void initTestCase() { qputenv("RANKSCOPE_RESOURCES", RANKSCOPE_SOURCE_DIR "/resources"); }

  void endsCleanlyOnASignal_data() {
    QTest::addColumn<int>("number");
    QTest::newRow("TERM") << SIGTERM;
    QTest::newRow("INT") << SIGINT;
    QTest::newRow("HUP") << SIGHUP;
  }
  void endsCleanlyOnASignal() {
    QFETCH(int, number);
    QProcess program;
    start(program);
    QTRY_COMPARE_WITH_TIMEOUT(pidIn(marker()), int(program.processId()), 20000);
    QTRY_VERIFY_WITH_TIMEOUT(QFile::exists(m_home.filePath("store.sqlite")), 20000);
    QTest::qWait(300);  // into the event loop
    ::kill(static_cast<pid_t>(program.processId()), number);
    QVERIFY(program.waitForFinished(10000));
    QCOMPARE(program.exitStatus(), QProcess::NormalExit);
    QCOMPARE(program.exitCode(), 0);
    QVERIFY(!QFile::exists(marker()));
    QVERIFY(QFile::exists(m_home.filePath("workbench.json")));
  }

  void aSecondStartHandsOver() {
    QProcess first;
    start(first);
    QTRY_COMPARE_WITH_TIMEOUT(pidIn(marker()), int(first.processId()), 20000);
    QProcess second;
    start(second, {"--view", "compare"});
    QVERIFY(second.waitForFinished(10000));
    QCOMPARE(second.exitCode(), 0);
    QCOMPARE(first.state(), QProcess::Running);
    QCOMPARE(pidIn(marker()), int(first.processId()));
    // A crash leaves the marker and the socket; the next start takes both over.
    first.kill();
    QVERIFY(first.waitForFinished(5000));
    QVERIFY(QFile::exists(marker()));
    QProcess third;
    start(third);
    QTRY_COMPARE_WITH_TIMEOUT(pidIn(marker()), int(third.processId()), 20000);
    QTest::qWait(300);
    QCOMPARE(third.state(), QProcess::Running);
    third.terminate();
    QVERIFY(third.waitForFinished(10000));
    QCOMPARE(third.exitCode(), 0);
  }

  void anUnknownViewIsNamed() {
    QProcess program;
    start(program, {"--view", "speculum"});
    QVERIFY(program.waitForFinished(10000));
    const QString said = program.readAll();
    QVERIFY2(program.exitCode() == 2 && said.contains("speculum") && said.contains("spectrum"), qPrintable(said));
  }
};

QTEST_GUILESS_MAIN(WorkbenchProgram)
#include "program.moc"

// The plot and the heatmap as a person uses them: keys, mouse, groups, history, export.
#include <QtTest/QtTest>

#include <QApplication>

#include "ui/plots/heatmap.h"
#include "ui/plots/plot.h"
#include "ui/theme/theme.h"

using namespace rankscope::ui;

class PlotWidgetTest : public QObject {
  Q_OBJECT

  static CurvePoints line(double slope, int n = 101) {
    CurvePoints p;
    for (int i = 0; i < n; ++i) {
      p.step.push_back(i);
      p.epoch.push_back(i * 0.01);
      p.tokens.push_back(i * 1000.0);
      p.seconds.push_back(i * 2.0);
      p.y.push_back(slope * i);
    }
    return p;
  }
  static CurveStyle style() {
    CurveStyle s;
    s.colour = categoryColour(0);
    return s;
  }

 private Q_SLOTS:
  void initTestCase() { Theme::instance().install(*qApp); }

  void readsOutEveryCurveOnEachAxis() {
    Plot plot;
    plot.setCurve("a", "first", style(), line(1));
    plot.setCurve("b", "second", style(), line(2));
    auto at = plot.readoutAt(50.2);
    QCOMPARE(at.size(), size_t{2});
    QCOMPARE(at[0].y, 50.0);
    QCOMPARE(at[1].y, 100.0);
    plot.setXAxis(XAxis::Tokens);
    QCOMPARE(plot.readoutAt(50100)[0].y, 50.0);
    plot.setXAxis(XAxis::Time);
    QCOMPARE(plot.readoutAt(100)[1].y, 100.0);
    plot.appendCurve("a", {{101}, {1.01}, {101000}, {202}, {7}, {}, {}});
    QCOMPARE(plot.readoutAt(202)[0].y, 7.0);
  }

  void zoomsByKeysAndFindsBack() {
    Plot plot;
    plot.resize(600, 400);
    plot.setTitle("Loss");
    plot.setCurve("a", "first", style(), line(1));
    plot.show();
    QVERIFY(QTest::qWaitForWindowExposed(&plot));
    auto* canvas = plot.focusProxy();
    QVERIFY(canvas);
    QCOMPARE(canvas->accessibleName(), QString("Loss"));
    QVERIFY(!plot.canZoomBack());
    const QImage before = plot.grab().toImage();
    QTest::keyClick(canvas, Qt::Key_Plus);
    plot.renderNow();
    QVERIFY(plot.canZoomBack());
    QVERIFY(plot.grab().toImage() != before);
    QTest::keyClick(canvas, Qt::Key_Backspace);
    plot.renderNow();
    QCOMPARE(plot.grab().toImage(), before);
    QVERIFY(plot.canZoomForward());
    QTest::keyClick(canvas, Qt::Key_Backspace, Qt::ShiftModifier);
    QVERIFY(!plot.canZoomForward());
  }

  void dragPansAndClickNamesTheCurve() {
    Plot plot;
    plot.resize(600, 400);
    plot.setCurve("a", "first", style(), line(0));
    plot.show();
    QVERIFY(QTest::qWaitForWindowExposed(&plot));
    plot.renderNow();
    QSignalSpy clicked(&plot, &Plot::curveClicked);
    auto* canvas = plot.focusProxy();
    QPoint on(300, 0);
    for (int y = 10; y < 380 && clicked.isEmpty(); y += 3) QTest::mouseClick(canvas, Qt::LeftButton, {}, on = QPoint(300, y));
    QCOMPARE(clicked.size(), 1);
    QCOMPARE(clicked[0][0].toString(), QString("a"));
    const QImage before = plot.grab().toImage();
    QTest::mousePress(canvas, Qt::LeftButton, {}, {300, 200});
    QTest::mouseMove(canvas, {200, 150});
    QTest::mouseRelease(canvas, Qt::LeftButton, {}, {200, 150});
    plot.renderNow();
    QVERIFY(plot.grab().toImage() != before);
    QVERIFY(plot.canZoomBack());
  }

  void groupSharesCursorAndRange() {
    PlotGroup group;
    Plot a, b;
    for (Plot* plot : {&a, &b}) {
      plot->resize(400, 300);
      plot->setCurve("c", "curve", style(), line(1));
      plot->setGroup(&group);
      plot->show();
    }
    QVERIFY(QTest::qWaitForWindowExposed(&b));
    b.renderNow();
    const QImage quiet = b.grab().toImage();
    group.moveCursor(&a, 40, true);
    QVERIFY(b.grab().toImage() != quiet);  // the line of the cursor
    group.moveCursor(&a, 0, false);
    QCOMPARE(b.grab().toImage(), quiet);
    a.setXRange(20, 30);
    b.renderNow();
    QVERIFY(b.grab().toImage() != quiet);
  }

  void exportsEveryPoint() {
    QTemporaryDir folder;
    Plot plot;
    plot.resize(500, 300);
    plot.setTitle("Loss");
    plot.setCurve("run,1", "a \"quoted\" label", style(), line(0.5, 20000));
    const QByteArray csv = plot.toCsv();
    QCOMPARE(csv.count('\n'), 20001);
    QVERIFY(csv.contains("\"run,1\",\"a \"\"quoted\"\" label\",19999,"));
    for (const char* name : {"plot.png", "plot.svg", "plot.pdf", "plot.csv"}) {
      QString problem;
      QVERIFY2(plot.exportTo(folder.filePath(name), &problem), qPrintable(problem));
      QVERIFY(QFileInfo(folder.filePath(name)).size() > 500);
    }
    QString problem;
    QVERIFY(!plot.exportTo(folder.filePath("plot.xyz"), &problem));
    QVERIFY(problem.contains(".pdf"));
    QVERIFY(!plot.exportTo("/nowhere/plot.png", &problem));
  }

  void stateComesBack() {
    Plot plot, other;
    plot.setCurve("a", "", style(), line(1));
    plot.setLogY(true);
    plot.setSmoothing(0.5);
    plot.setXAxis(XAxis::Epoch);
    other.restoreState(plot.saveState());
    QVERIFY(other.logY());
    QCOMPARE(other.smoothing(), 0.5);
    QCOMPARE(other.xAxis(), XAxis::Epoch);
  }

  void heatmapIsReadByMouseAndKeys() {
    Heatmap map;
    map.resize(500, 400);
    map.setTitle("Similarity");
    map.setAxisTitles("after", "before");
    std::vector<float> values(20 * 30);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    values[5] = std::numeric_limits<float>::quiet_NaN();
    map.setValues(20, 30, values);
    map.show();
    QVERIFY(QTest::qWaitForWindowExposed(&map));
    QSignalSpy clicked(&map, &Heatmap::cellClicked);
    QTest::mouseClick(&map, Qt::LeftButton, {}, {250, 180});
    QCOMPARE(clicked.size(), 1);
    const int row = clicked[0][0].toInt(), column = clicked[0][1].toInt();
    QVERIFY(row > 0 && row < 19 && column > 0 && column < 29);
    QTest::keyClick(&map, Qt::Key_Right);
    QTest::keyClick(&map, Qt::Key_Down);
    QTest::keyClick(&map, Qt::Key_Return);
    QCOMPARE(clicked.last()[0].toInt(), row + 1);
    QCOMPARE(clicked.last()[1].toInt(), column + 1);
    QVERIFY(map.accessibleDescription().contains("before"));
    const QByteArray csv = map.toCsv();
    QCOMPARE(csv.count('\n'), 21);
    QVERIFY(csv.contains(",4,,6,"));  // what was not measured is empty
  }

  void aSingleBrightCellIsSeenAmongThousands() {
    Heatmap map;
    map.resize(300, 240);
    std::vector<float> values(2000 * 2000, 0.f);
    values[777 * 2000 + 1234] = 1.f;
    map.setValues(2000, 2000, values);
    map.setRange(0, 1);
    const QImage picture = map.grab().toImage();
    const QColor bright = mapColour(ColourMap::Viridis, 1);
    int found = 0;
    for (int y = 0; y < picture.height(); ++y)
      for (int x = 0; x < 190; ++x) found += picture.pixelColor(x, y) == bright;
    QVERIFY(found >= 1);
  }
};

QTEST_MAIN(PlotWidgetTest)
#include "plot_widget.moc"

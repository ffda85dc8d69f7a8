// Pictures of what the views make of real runs, light and dark: gui_run_screens RUNS FOLDER RUN [AGAINST]. RUNS is a home's
// runs folder; the store is made anew beside the pictures, so that nothing of the home is touched.
#include <QApplication>
#include <QDir>
#include <QLabel>
#include <QSlider>
#include <QTest>
#include <QToolButton>

#include <iostream>

#include "tests/support/ui_fixture.h"
#include "ui/shell/main_window.h"
#include "ui/spectrum/spectrum_view.h"

using namespace rankscope;
using namespace rankscope::ui;

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  if (argc < 4) {
    std::cerr << "gui_run_screens RUNS FOLDER RUN [AGAINST]\n";
    return 2;
  }
  const QString folder = QString::fromLocal8Bit(argv[2]), run = QString::fromLocal8Bit(argv[3]);
  const QString against = argc > 4 ? QString::fromLocal8Bit(argv[4]) : QString();
  QDir().mkpath(folder);
  rankscope::test::UiFixture fixture;
  std::error_code failed;
  std::filesystem::copy(argv[1], fixture.places.runs, std::filesystem::copy_options::recursive, failed);
  if (failed) {
    std::cerr << argv[1] << ": " << failed.message() << "\n";
    return 1;
  }
  fixture.store->ingestNow();
  MainWindow window(fixture.context);
  window.show();
  const auto shoot = [&](const QString& name) {
    for (const QSize size : {QSize(1440, 900), QSize(1100, 700)})
      for (const auto mode : {ThemeMode::Light, ThemeMode::Dark}) {
        window.resize(size);
        Theme::instance().setMode(mode);
        QTest::qWait(500);
        window.grab().save(QStringLiteral("%1/%2-%3-%4.png").arg(folder, name).arg(size.width()).arg(mode == ThemeMode::Light ? "light" : "dark"));
      }
  };
  QTest::qWait(1500);
  window.showView("live", {{"run", run}});
  QTest::qWait(1000);
  shoot("live");
  window.showView("spectrum", {{"run", run}});
  QTest::qWait(1500);
  auto* spectrum = static_cast<SpectrumView*>(window.view("spectrum"));
  shoot("spectrum");
  auto* scrubber = spectrum->findChild<QSlider*>("stepScrubber");
  scrubber->setValue(scrubber->maximum() / 3);
  shoot("spectrum-earlier");
  scrubber->setValue(scrubber->maximum());
  spectrum->findChild<QToolButton*>("showMitigation")->setChecked(true);
  QTest::qWait(500);
  shoot("spectrum-mitigation");
  spectrum->findChild<QToolButton*>("showMitigation")->setChecked(false);
  if (against.isEmpty()) return 0;
  window.showView("spectrum", {{"run", run}, {"against", against}});
  QTest::qWait(1500);
  shoot("spectrum-two");
  return 0;
}

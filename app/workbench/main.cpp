// rankscope: the desktop workbench. Finds the places, makes sure to be the only one on this home, starts the services and
// shows the window. Everything else lives in ui/.

#include "app/workbench/crash_marker.h"
#include "app/workbench/first_launch.h"
#include "app/workbench/quit_signals.h"
#include "app/workbench/screenshots.h"
#include "app/workbench/single_instance.h"
#include "core/config/log.h"
#include "core/config/places.h"
#include "rankscope_version.h"
#include "ui/shell/main_window.h"
#include "ui/shell/plurals.h"
#include "ui/shell/settings.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"
#include "ui/shell/views.h"
#include "ui/theme/system_scheme.h"
#include "ui/theme/theme.h"

#include <CLI/CLI.hpp>
#include <QApplication>
#include <QLibraryInfo>
#include <QMessageBox>
#include <QTimer>
#include <QTranslator>
#include <QUndoStack>

#include <cstdio>

using namespace rankscope;
using namespace rankscope::ui;

namespace {

int fail(const Error& error) {
  QMessageBox::critical(nullptr, QObject::tr("Rankscope cannot start"), QString::fromStdString(error.message()));
  return exitCode(error.code);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App options{"Rankscope, a workbench for low-rank fine-tuning"};
  std::string home, view, screenshots;
  options.add_option("--home", home, "Folder of the store, runs and models (default: RANKSCOPE_HOME or the user's data folder)");
  options.add_option("--view", view, "View to open: runs, newrun, live, compare, spectrum");
  options.add_option("--screenshots", screenshots, "Write a picture of every view, light and dark, into this folder and end");
  options.set_version_flag("--version", RANKSCOPE_VERSION);
  options.allow_extras();  // Qt's own: -platform, -style
  CLI11_PARSE(options, argc, argv);

  QApplication::setApplicationName(QStringLiteral("Rankscope"));
  QApplication::setApplicationVersion(QStringLiteral(RANKSCOPE_VERSION));
  QApplication::setDesktopFileName(QStringLiteral("rankscope"));
  QApplication app(argc, argv);
  installPlurals(app);
  QTranslator qtTexts;
  if (qtTexts.load(QLocale(), QStringLiteral("qtbase"), QStringLiteral("_"), QLibraryInfo::path(QLibraryInfo::TranslationsPath)))
    QApplication::installTranslator(&qtTexts);
  Theme::instance().install(app);
  QApplication::setWindowIcon(icon(QStringLiteral("view-spectrum"), methodColour(QStringLiteral("lora"))));

  const Result<Places> places = Places::find(home.empty() ? std::nullopt : std::optional<std::filesystem::path>(home));
  if (!places.ok()) return fail(places.error());
  if (const Result<void> made = places->ensure(); !made.ok()) return fail(made.error());
  startLog({LogLevel::Warning, true, places->home / "logs" / "workbench.log"});

  const QString wantedView = QString::fromStdString(view);
  if (!wantedView.isEmpty() && !findView(wantedView)) {
    std::fprintf(stderr, "rankscope: there is no view “%s”. Use one of: runs, newrun, live, compare, spectrum.\n", view.c_str());
    return exitCode(ErrorCode::Usage);
  }
  SingleInstance instance(places->home);
  if (screenshots.empty() && !instance.claim(wantedView)) return 0;
  const CrashMarker marker(places->home);

  Settings settings(places->home / "workbench.json");
  Theme::instance().setMode(static_cast<ThemeMode>(std::clamp(settings.integer(QStringLiteral("theme")), 0, 2)));
  StoreService store(places->store, places->runs);
  TrainerClient trainer(TrainerClient::findProgram(), places->home);
  RunSelection selection;
  MainWindow window({&*places, &store, &trainer, &settings, &selection, nullptr});
  if (!wantedView.isEmpty()) window.showView(wantedView);
  QObject::connect(&instance, &SingleInstance::raiseAsked, &window, [&window](const QString& id) {
    if (!id.isEmpty()) window.showView(id);
    window.setWindowState(window.windowState() & ~Qt::WindowMinimized);
    window.show();
    window.raise();
    window.activateWindow();
  });
  const QuitSignals signals;
  QObject::connect(&signals, &QuitSignals::quitAsked, &window, [&window] {
    window.close();
    QApplication::quit();  // also where the window was hidden already
  });
  bringExamples(*places, store);
  window.show();
  if (marker.lastSessionCrashed())
    window.showBanner(QObject::tr("The last session ended unexpectedly. Training runs were not affected, and what you had "
                                  "entered under New run is still there."));
  SystemScheme scheme;
  QTimer::singleShot(0, &scheme, &SystemScheme::start);
  if (!screenshots.empty())
    QTimer::singleShot(0, &app, [&] {
      QApplication::exit(takeScreenshots(window, store, selection, QString::fromStdString(screenshots)) ? 0 : 1);
    });
  return QApplication::exec();
}

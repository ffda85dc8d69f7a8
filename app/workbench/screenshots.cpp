#include "app/workbench/screenshots.h"

#include "core/store/store.h"
#include "ui/shell/main_window.h"
#include "ui/shell/store_service.h"
#include "ui/shell/views.h"
#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QDir>
#include <QElapsedTimer>
#include <QPixmap>

namespace rankscope::ui {

namespace {

constexpr int kSettleMs = 1200;  // helper answers, plots, spectra
constexpr size_t kComparedRuns = 26;

void settle(StoreService& store, int milliseconds) {
  QElapsedTimer timer;
  timer.start();
  while (timer.elapsed() < milliseconds) QCoreApplication::processEvents(QEventLoop::AllEvents, 20);
  store.waitForIdle();
  QCoreApplication::processEvents();
}

}  // namespace

bool takeScreenshots(MainWindow& window, StoreService& store, RunSelection& selection, const QString& folder) {
  QDir().mkpath(folder);
  settle(store, kSettleMs);
  QStringList finished;
  RunQuery query;
  query.filter = "status = finished";
  store.read(&window, "screenshots", [query](Store& s) { return s.listRunIds(query); },
             [&finished](Result<std::vector<std::string>> ids) {
               if (ids.ok())
                 for (size_t i = 0; i < ids->size() && i < kComparedRuns; ++i) finished << QString::fromStdString((*ids)[i]);
             });
  store.waitForIdle();
  window.resize(1440, 900);
  settle(store, kSettleMs);
  bool all = true;
  for (const ThemeMode mode : {ThemeMode::Light, ThemeMode::Dark}) {
    Theme::instance().setMode(mode);
    for (const ViewInfo& view : viewTable()) {
      const bool several = QLatin1String(view.id) == QLatin1String("compare");
      selection.set(several ? finished : finished.mid(0, 1));
      window.showView(QLatin1String(view.id));
      settle(store, kSettleMs);
      const QString name = mode == ThemeMode::Light ? QStringLiteral("%1/%2-light.png") : QStringLiteral("%1/%2-dark.png");
      all = window.grab().save(name.arg(folder, QLatin1String(view.id))) && all;
    }
  }
  return all;
}

}  // namespace rankscope::ui

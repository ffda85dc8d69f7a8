#include "app/workbench/first_launch.h"

#include "core/config/files.h"
#include "core/config/log.h"
#include "core/runlog/run_folder.h"
#include "ui/shell/store_service.h"

#include <QCoreApplication>
#include <QPointer>
#include <QtConcurrent/QtConcurrentRun>

namespace rankscope::ui {

namespace fs = std::filesystem;

void bringExamples(const Places& places, StoreService& store) {
  const fs::path examples = places.resources / "starter" / "runs";
  const fs::path told = places.home / "examples.done";
  std::error_code code;
  if (places.resources.empty() || !fs::is_directory(examples, code) || fs::exists(told, code)) return;
  const QPointer<StoreService> service(&store);
  [[maybe_unused]] const auto done = QtConcurrent::run([examples, told, runs = places.runs, service] {
    const auto present = listRunFolders(runs);
    const auto offered = listRunFolders(examples);
    if (!present.ok() || !offered.ok()) return;
    if (present->empty()) {
      for (const RunFolder& run : *offered) {
        // Copied beside and renamed, so that ingest never sees half a run.
        std::error_code problem;
        const fs::path part = runs / (".part-" + run.id());
        fs::remove_all(part, problem);
        fs::copy(run.path(), part, fs::copy_options::recursive, problem);
        if (!problem) fs::rename(part, runs / run.id(), problem);
        if (problem) {
          logWarning("workbench", "an example run could not be copied: {}", problem.message());
          fs::remove_all(part, problem);
          return;
        }
      }
    }
    if (const auto written = writeFileAtomically(told, "Example runs were offered here once.\n"); !written.ok()) return;
    QMetaObject::invokeMethod(QCoreApplication::instance(), [service] {
      if (service) service->ingestNow();
    });
  });
}

}  // namespace rankscope::ui

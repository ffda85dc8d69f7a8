#include "ui/shell/views.h"

#include <QCoreApplication>

#include "ui/compare/compare_view.h"
#include "ui/library/library_view.h"
#include "ui/live/live_view.h"
#include "ui/newrun/newrun_view.h"
#include "ui/runs/runs_view.h"
#include "ui/spectrum/spectrum_view.h"

namespace rankscope::ui {

namespace {
template <typename T>
View* make(ViewContext& context, QWidget* parent) {
  return new T(context, parent);
}
}  // namespace

const std::vector<ViewInfo>& viewTable() {
  static const std::vector<ViewInfo> table = {
      {"runs", QT_TRANSLATE_NOOP("View", "Runs"), "view-runs",
       QT_TRANSLATE_NOOP("View", "What have I done, and what is running now?"), "runs", make<RunsView>},
      {"newrun", QT_TRANSLATE_NOOP("View", "New run"), "view-newrun",
       QT_TRANSLATE_NOOP("View", "What will happen if I press Start?"), "newrun", make<NewRunView>},
      {"live", QT_TRANSLATE_NOOP("View", "Live"), "view-live", QT_TRANSLATE_NOOP("View", "Is it going well?"), "live",
       make<LiveView>},
      {"compare", QT_TRANSLATE_NOOP("View", "Compare"), "view-compare",
       QT_TRANSLATE_NOOP("View", "Which is better, and why?"), "compare", make<CompareView>},
      {"spectrum", QT_TRANSLATE_NOOP("View", "Spectrum"), "view-spectrum",
       QT_TRANSLATE_NOOP("View", "What did the update do to the weights?"), "spectrum", make<SpectrumView>},
      {"library", QT_TRANSLATE_NOOP("View", "Library"), "view-library",
       QT_TRANSLATE_NOOP("View", "Which models and adapters do I have, and what is in them?"), "library", make<LibraryView>},
  };
  return table;
}

const ViewInfo* findView(const QString& id) {
  for (const ViewInfo& view : viewTable())
    if (id == QLatin1String(view.id)) return &view;
  return nullptr;
}

QString viewTitle(const ViewInfo& view) { return QCoreApplication::translate("View", view.title); }
QString viewQuestion(const ViewInfo& view) { return QCoreApplication::translate("View", view.question); }

}  // namespace rankscope::ui

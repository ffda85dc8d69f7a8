#include "ui/shell/views.h"

#include <QCoreApplication>

#if __has_include("ui/compare/compare_view.h")
#include "ui/compare/compare_view.h"
#define RS_HAS_COMPARE
#endif
#if __has_include("ui/live/live_view.h")
#include "ui/live/live_view.h"
#define RS_HAS_LIVE
#endif
#if __has_include("ui/newrun/newrun_view.h")
#include "ui/newrun/newrun_view.h"
#define RS_HAS_NEWRUN
#endif
#if __has_include("ui/runs/runs_view.h")
#include "ui/runs/runs_view.h"
#define RS_HAS_RUNS
#endif
#if __has_include("ui/spectrum/spectrum_view.h")
#include "ui/spectrum/spectrum_view.h"
#define RS_HAS_SPECTRUM
#endif

namespace rankscope::ui {

namespace {
template <typename T>
View* make(ViewContext& context, QWidget* parent) {
  return new T(context, parent);
}
}  // namespace

const std::vector<ViewInfo>& viewTable() {
  static const std::vector<ViewInfo> table = {
#ifdef RS_HAS_RUNS
      {"runs", QT_TRANSLATE_NOOP("View", "Runs"), "view-runs",
       QT_TRANSLATE_NOOP("View", "What have I done, and what is running now?"), "runs", make<RunsView>},
#endif
#ifdef RS_HAS_NEWRUN
      {"newrun", QT_TRANSLATE_NOOP("View", "New run"), "view-newrun",
       QT_TRANSLATE_NOOP("View", "What will happen if I press Start?"), "newrun", make<NewRunView>},
#endif
#ifdef RS_HAS_LIVE
      {"live", QT_TRANSLATE_NOOP("View", "Live"), "view-live", QT_TRANSLATE_NOOP("View", "Is it going well?"), "live",
       make<LiveView>},
#endif
#ifdef RS_HAS_COMPARE
      {"compare", QT_TRANSLATE_NOOP("View", "Compare"), "view-compare",
       QT_TRANSLATE_NOOP("View", "Which is better, and why?"), "compare", make<CompareView>},
#endif
#ifdef RS_HAS_SPECTRUM
      {"spectrum", QT_TRANSLATE_NOOP("View", "Spectrum"), "view-spectrum",
       QT_TRANSLATE_NOOP("View", "What did the update do to the weights?"), "spectrum", make<SpectrumView>},
#endif
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

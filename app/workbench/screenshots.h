#pragma once
// --screenshots DIR: every view in light and dark as PNG, for the documentation and for looking at what a change did; the
// program then ends. The newest finished runs are selected, so that there is something to see. GUI thread; works with the
// offscreen platform.

#include <QString>

namespace rankscope::ui {

class MainWindow;
class RunSelection;
class StoreService;

// Returns false when a picture could not be written.
bool takeScreenshots(MainWindow& window, StoreService& store, RunSelection& selection, const QString& folder);

}  // namespace rankscope::ui

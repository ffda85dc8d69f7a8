#pragma once
// --screenshots DIR: every view in light and dark as PNG, for the documentation and for looking at what a change did; the
// program then ends. GUI thread; works with the offscreen platform.

#include <QString>

namespace rankscope::ui {

class MainWindow;
class StoreService;

// Returns false when a picture could not be written.
bool takeScreenshots(MainWindow& window, StoreService& store, const QString& folder);

}  // namespace rankscope::ui

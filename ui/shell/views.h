#pragma once
// The table of the program's views; the shell builds its navigation, menus, shortcuts and palette from it and knows no
// view by name.

#include "ui/shell/view.h"

namespace rankscope::ui {

struct ViewInfo {
  const char* id;           // stable: saved states and requests name it
  const char* title;        // marked with QT_TRANSLATE_NOOP("View", …)
  const char* icon;         // resources/icons/<icon>.svg
  const char* question;     // the question this view answers, its tool tip
  const char* help;         // resources/help/<help>.md
  View* (*make)(ViewContext& context, QWidget* parent);
};

// Top to bottom as shown; the n-th has the shortcut Ctrl+n.
const std::vector<ViewInfo>& viewTable();
const ViewInfo* findView(const QString& id);
QString viewTitle(const ViewInfo& view);      // translated
QString viewQuestion(const ViewInfo& view);   // translated

}  // namespace rankscope::ui

#pragma once
// The three buttons that take a table along: CSV, Markdown, LaTeX. GUI thread.

#include "ui/shell/table_text.h"

#include <functional>

class QBoxLayout;
class QWidget;

namespace rankscope::ui {

void addCopyButtons(QWidget* parent, QBoxLayout* layout, std::function<TextTable()> table,
                    std::function<void(const QString&)> say);

}  // namespace rankscope::ui

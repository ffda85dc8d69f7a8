#pragma once
// Rows of "name  value" and the line that shows a command: text that can be selected and wraps. GUI thread.

#include <QString>

class QFormLayout;
class QLabel;

namespace rankscope::ui {

// A row at the form's end; the value as plain text, and accessible under the name. Nothing for an empty value.
QLabel* addFact(QFormLayout* form, const QString& name, const QString& value, const QString& tip = {});
// For the command line that does the same as a dialog.
QLabel* makeCommandLabel(const QString& objectName);

}  // namespace rankscope::ui

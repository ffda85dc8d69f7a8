#pragma once
// What the dialogs around runs are made of: captioned fields in a column, a path with its button, a choice of checkpoint,
// the command line with its copy button. GUI thread; everything made belongs to the dialog.

#include <QString>

#include <functional>
#include <string>
#include <utility>
#include <vector>

class QComboBox;
class QDialog;
class QDialogButtonBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QVBoxLayout;

namespace rankscope::ui {

// The dialog's column, with its margins and width.
QVBoxLayout* dialogColumn(QDialog* dialog, const QString& objectName);
QLabel* addExplanation(QVBoxLayout* column, const QString& text = {});
QFormLayout* dialogForm();
// `buddy` takes the focus that the caption is asked for; the field itself unless given.
QLabel* addCaptioned(QFormLayout* form, const QString& text, QWidget* field, QWidget* buddy = nullptr);
QLineEdit* namedLine(const char* objectName, const QString& accessibleName, const QString& placeholder = {});
// A line below a field for showNote() (ui/shell/facts.h); hidden until then.
QLabel* addNote(QFormLayout* form, const char* objectName);
// The line with a button that asks for a path; `choose` gives it, empty: none was chosen.
QWidget* withPathButton(QLineEdit* line, const QString& tip, const std::function<QString()>& choose);
// The tasks by their titles, the data is the option's value; all of them, or those whose head is the one of task `alike`.
QComboBox* taskBox(const char* objectName, const std::string& alike = {});
// "the last one", the best, each by its step; the data is what --checkpoint takes.
QComboBox* checkpointBox(const char* objectName, const std::vector<std::pair<qint64, bool>>& checkpoints);
// The label of makeCommandLabel() with its button.
QLabel* addCommand(QVBoxLayout* column, const char* objectName);
QPushButton* addButtons(QVBoxLayout* column, QDialog* dialog, const char* okName, const QString& okText);

}  // namespace rankscope::ui

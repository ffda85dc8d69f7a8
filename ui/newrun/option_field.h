#pragma once
// One option as a row of a form: title, an editor that fits its type, unit, a coloured edge and a revert button when it
// differs from the preset, and its mistakes underneath. Made from the option table; knows no option by name. GUI thread.

#include <QPointer>
#include <QWidget>

#include "core/config/option_spec.h"

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QToolButton;

namespace rankscope::ui {

class RunDraft;

class OptionField : public QWidget {
  Q_OBJECT

 public:
  OptionField(RunDraft* draft, const OptionSpec& option, QWidget* parent = nullptr);

  const OptionSpec& option() const { return m_option; }
  QString key() const { return QString::fromStdString(m_option.key); }
  QWidget* editor() const;
  QToolButton* revertButton() const { return m_revert; }
  QString problem() const;  // shown under the field; empty when it is right
  void refresh();           // from the draft: value, marks, mistakes, visibility is the form's
  // Every word of the search must occur in title, key, help or paper.
  bool matches(const QStringList& words) const;

 Q_SIGNALS:
  void focused(OptionField* field);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void makeEditor();
  void step(int direction, bool large);
  void browse();
  void setEditorText(const QString& text);

  QPointer<RunDraft> m_draft;
  const OptionSpec& m_option;  // of the table: lives as long as the program
  QLabel* m_title = nullptr;
  QLabel* m_unit = nullptr;
  QLabel* m_error = nullptr;
  QToolButton* m_revert = nullptr;
  QToolButton* m_browse = nullptr;
  QLineEdit* m_line = nullptr;
  QPlainTextEdit* m_lines = nullptr;
  QComboBox* m_choice = nullptr;
  QCheckBox* m_flag = nullptr;
};

}  // namespace rankscope::ui

#pragma once
// The note of one run: shown as Markdown, edited as text. What is typed is handed over when the typing pauses, when the
// run changes and when the view is left, so that little is lost even by a crash. GUI thread.

#include <QTimer>
#include <QWidget>

class QPlainTextEdit;
class QStackedWidget;
class QTextBrowser;
class QToolButton;

namespace rankscope::ui {

class NoteEditor : public QWidget {
  Q_OBJECT
 public:
  explicit NoteEditor(QWidget* parent = nullptr);

  // The note as the store has it. Does not overwrite what is being typed for the same run.
  void setNote(const QString& runId, const QString& markdown);
  void edit();  // opens the text for typing
  void save();  // hands over what was typed, if anything was

 Q_SIGNALS:
  void edited(const QString& runId, const QString& markdown);

 private:
  void preview();

  QString m_run, m_known;  // whose note, and the text the store has
  QStackedWidget* m_pages;
  QTextBrowser* m_shown;
  QPlainTextEdit* m_text;
  QToolButton* m_mode;
  QTimer m_pause;
};

}  // namespace rankscope::ui

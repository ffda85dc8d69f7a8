#pragma once
// Rows of "name  value" and the line that shows a command: text that can be selected and wraps. GUI thread.

#include <QLabel>

class QFormLayout;
class QGridLayout;

namespace rankscope::ui {

// Text that wraps and is as high as its lines are at the width it has: a plain QLabel asks for two lines wherever one would
// be long, which tears the rows of a form apart.
class WrappedLabel : public QLabel {
 public:
  explicit WrappedLabel(const QString& text = {}) : QLabel(text) { setWordWrap(true); }
  QSize sizeHint() const override { return {QLabel::sizeHint().width(), heightForWidth(width())}; }
  QSize minimumSizeHint() const override { return {QLabel::minimumSizeHint().width(), heightForWidth(width())}; }

 protected:
  void resizeEvent(QResizeEvent* event) override;
};

// A row at the form's end; the value as plain text, and accessible under the name. Nothing for an empty value.
QLabel* addFact(QFormLayout* form, const QString& name, const QString& value, const QString& tip = {});
// Rows whose values come and go while the page stands; captions of one width. The layout is the caller's to place.
class FactGrid {
 public:
  struct Row {
    QLabel *caption, *value;
  };
  explicit FactGrid(int captionWidth);  // in unscaled pixels
  QGridLayout* layout() const { return m_layout; }
  Row add(const QString& caption, const QString& objectName);

 private:
  QGridLayout* m_layout;
  int m_captionWidth;
};
// A line below a field: what is there, or what is wrong with it. Hidden where there is nothing to say.
void showNote(QLabel* label, const QString& text, bool problem);
// For the command line that does the same as a dialog.
QLabel* makeCommandLabel(const QString& objectName);

}  // namespace rankscope::ui

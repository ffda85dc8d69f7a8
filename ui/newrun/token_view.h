#pragma once
// The first rows as the model will read them: one chip per token, those whose prediction enters the loss in the accent's
// tint, the others plain; white space is made visible, a cut-off row ends in a mark. A list of rows with wrapped chips,
// readable by a screen reader as text. GUI thread; paints only what is visible.

#include <QAbstractScrollArea>

#include "ui/newrun/answers.h"

namespace rankscope::ui {

class TokenView : public QAbstractScrollArea {
  Q_OBJECT

 public:
  explicit TokenView(QWidget* parent = nullptr);
  void setRows(std::vector<PreviewRow> rows);
  void setMessage(const QString& message);  // shown instead of rows
  int rowCount() const { return static_cast<int>(m_rows.size()); }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  bool viewportEvent(QEvent* event) override;

 private:
  struct Chip {
    QRect box;  // in content coordinates
    int row = 0, token = 0;
  };
  void layOut();

  std::vector<PreviewRow> m_rows;
  std::vector<Chip> m_chips;
  std::vector<int> m_rowTops;  // and one past the end
  QString m_message;
};

// A token's text with blanks made visible: "·" for a space at the edge, "⏎" for a line feed, "⇥" for a tab.
QString visibleToken(const QString& text);

}  // namespace rankscope::ui

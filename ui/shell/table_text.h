#pragma once
// A table as text to paste elsewhere: CSV, Markdown, LaTeX (booktabs). Numbers in it are already formatted; files and the
// clipboard get plain numbers with a point, whatever the locale. Plain values, any thread.

#include <QString>
#include <QStringList>

#include <vector>

namespace rankscope::ui {

struct TextCell {
  QString text;
  bool bold = false;
  TextCell() = default;
  TextCell(QString t, bool b = false) : text(std::move(t)), bold(b) {}
};

struct TextTable {
  struct Column {
    QString title;
    bool number = false;  // aligned right
  };
  QString caption;
  std::vector<Column> columns;
  std::vector<std::vector<TextCell>> rows;

  QString toCsv() const;
  QString toMarkdown() const;
  QString toLatex() const;
};

}  // namespace rankscope::ui

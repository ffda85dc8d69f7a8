#include "ui/shell/table_text.h"

namespace rankscope::ui {

namespace {

QString latexText(const QString& text) {
  QString out;
  for (const QChar c : text) {
    switch (c.unicode()) {
      case '&': case '%': case '$': case '#': case '_': case '{': case '}': out += QLatin1Char('\\'); out += c; break;
      case '~': out += QStringLiteral("\\textasciitilde{}"); break;
      case '^': out += QStringLiteral("\\textasciicircum{}"); break;
      case '\\': out += QStringLiteral("\\textbackslash{}"); break;
      case 0x00b1: out += QStringLiteral("$\\pm$"); break;
      case 0x2013: out += QStringLiteral("--"); break;
      case 0x2212: out += QStringLiteral("$-$"); break;
      case 0x00d7: out += QStringLiteral("$\\times$"); break;
      case 0x2016: out += QStringLiteral("$\\|$"); break;
      case 0x00a0: out += QLatin1Char('~'); break;
      default: out += c;
    }
  }
  return out;
}

QString csvText(QString text) {
  if (text.contains(QLatin1Char(',')) || text.contains(QLatin1Char('"')) || text.contains(QLatin1Char('\n')) ||
      text.contains(QLatin1Char('\r')))
    return QLatin1Char('"') + text.replace(QLatin1Char('"'), QStringLiteral("\"\"")) + QLatin1Char('"');
  return text;
}

QString markdownText(QString text) {
  return text.replace(QLatin1Char('|'), QStringLiteral("\\|")).replace(QLatin1Char('\n'), QLatin1Char(' '));
}

}  // namespace

QString TextTable::toCsv() const {
  QStringList lines;
  QStringList head;
  for (const Column& column : columns) head << csvText(column.title);
  lines << head.join(QLatin1Char(','));
  for (const auto& row : rows) {
    QStringList cells;
    for (const TextCell& cell : row) cells << csvText(cell.text);
    lines << cells.join(QLatin1Char(','));
  }
  return lines.join(QLatin1Char('\n')) + QLatin1Char('\n');
}

QString TextTable::toMarkdown() const {
  QString out = QStringLiteral("|"), rule = QStringLiteral("|");
  for (const Column& column : columns) {
    out += QStringLiteral(" %1 |").arg(markdownText(column.title));
    rule += column.number ? QStringLiteral(" ---: |") : QStringLiteral(" --- |");
  }
  out += QLatin1Char('\n') + rule + QLatin1Char('\n');
  for (const auto& row : rows) {
    out += QLatin1Char('|');
    for (const TextCell& cell : row) {
      const QString text = markdownText(cell.text);
      out += cell.bold && !text.isEmpty() ? QStringLiteral(" **%1** |").arg(text) : QStringLiteral(" %1 |").arg(text);
    }
    out += QLatin1Char('\n');
  }
  return out;
}

QString TextTable::toLatex() const {
  QString spec;
  QStringList head;
  for (const Column& column : columns) {
    spec += column.number ? QLatin1Char('r') : QLatin1Char('l');
    head << latexText(column.title);
  }
  QString out = QStringLiteral("\\begin{table}\n\\centering\n\\begin{tabular}{%1}\n\\toprule\n%2 \\\\\n\\midrule\n")
                    .arg(spec, head.join(QStringLiteral(" & ")));
  for (const auto& row : rows) {
    QStringList cells;
    for (const TextCell& cell : row) {
      const QString text = latexText(cell.text);
      cells << (cell.bold && !text.isEmpty() ? QStringLiteral("\\textbf{%1}").arg(text) : text);
    }
    out += cells.join(QStringLiteral(" & ")) + QStringLiteral(" \\\\\n");
  }
  out += QStringLiteral("\\bottomrule\n\\end{tabular}\n");
  if (!caption.isEmpty()) out += QStringLiteral("\\caption{%1}\n").arg(latexText(caption));
  return out + QStringLiteral("\\end{table}\n");
}

}  // namespace rankscope::ui

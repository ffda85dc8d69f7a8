// Mouse, keys and export of a heatmap (heatmap.h).
#include "ui/plots/heatmap.h"

#include "ui/theme/theme.h"

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QMenu>
#include <QMessageBox>
#include <QMouseEvent>
#include <QPainter>
#include <QPdfWriter>
#include <QSaveFile>
#include <QSvgGenerator>
#include <QToolTip>

#include <cmath>

namespace rankscope::ui {

void Heatmap::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  paintAll(painter, size(), false);
}

void Heatmap::resizeEvent(QResizeEvent*) { m_cache = {}; }

std::optional<QPoint> Heatmap::cellAt(const QPointF& position) const {
  if (m_values.empty()) return std::nullopt;
  const Layout layout = layoutFor(size());
  if (!layout.cells.contains(position)) return std::nullopt;
  const int column = static_cast<int>((position.x() - layout.cells.left()) / layout.cellWidth);
  const int row = static_cast<int>((position.y() - layout.cells.top()) / layout.cellHeight);
  return QPoint(std::clamp(column, 0, m_columns - 1), std::clamp(row, 0, m_rows - 1));
}

void Heatmap::mouseMoveEvent(QMouseEvent* event) {
  const auto cell = cellAt(event->position());
  if (cell == m_hovered) return;
  m_hovered = cell;
  if (cell) {
    const float v = value(cell->y(), cell->x());
    const auto part = [](const QString& title, const QString& label) {
      return title.isEmpty() ? label : QStringLiteral("%1 %2").arg(title, label);
    };
    QToolTip::showText(event->globalPosition().toPoint(),
                       QStringLiteral("%1\n%2\n%3").arg(part(m_rowsTitle, rowLabel(cell->y())),
                                                        part(m_columnsTitle, columnLabel(cell->x())),
                                                        part(m_valueTitle, format(static_cast<double>(v)))),
                       this);
    Q_EMIT cellHovered(cell->y(), cell->x(), v);
  } else {
    QToolTip::hideText();
    Q_EMIT left();
  }
  update();
}

void Heatmap::leaveEvent(QEvent*) {
  if (!m_hovered) return;
  m_hovered.reset();
  Q_EMIT left();
  update();
}

void Heatmap::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  if (event->button() != Qt::LeftButton) return;
  if (const auto cell = cellAt(event->position())) {
    m_selected = cell;
    update();
    announceSelection();
    Q_EMIT cellClicked(cell->y(), cell->x());
  }
}

void Heatmap::keyPressEvent(QKeyEvent* event) {
  if (m_values.empty()) {
    QWidget::keyPressEvent(event);
    return;
  }
  QPoint cell = m_selected.value_or(QPoint(0, 0));
  switch (event->key()) {
    case Qt::Key_Left: cell.rx() -= 1; break;
    case Qt::Key_Right: cell.rx() += 1; break;
    case Qt::Key_Up: cell.ry() -= 1; break;
    case Qt::Key_Down: cell.ry() += 1; break;
    case Qt::Key_Home: cell.setX(0); break;
    case Qt::Key_End: cell.setX(m_columns - 1); break;
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_Space: Q_EMIT cellClicked(cell.y(), cell.x()); return;
    default: QWidget::keyPressEvent(event); return;
  }
  m_selected = QPoint(std::clamp(cell.x(), 0, m_columns - 1), std::clamp(cell.y(), 0, m_rows - 1));
  announceSelection();
  Q_EMIT cellHovered(m_selected->y(), m_selected->x(), value(m_selected->y(), m_selected->x()));
  update();
}

// What a screen reader says: the cell and its value.
void Heatmap::announceSelection() {
  if (!m_selected) return;
  setAccessibleDescription(QStringLiteral("%1 %2, %3 %4: %5")
                               .arg(m_rowsTitle, rowLabel(m_selected->y()), m_columnsTitle, columnLabel(m_selected->x()),
                                    format(static_cast<double>(value(m_selected->y(), m_selected->x())))));
}

void Heatmap::changeEvent(QEvent* event) {
  if (event->type() == QEvent::FontChange || event->type() == QEvent::StyleChange) m_cache = {};
  QWidget::changeEvent(event);
}

QByteArray Heatmap::toCsv() const {
  const auto quoted = [](QString text) {
    if (text.contains(QLatin1Char(',')) || text.contains(QLatin1Char('"')))
      text = QLatin1Char('"') + text.replace(QLatin1Char('"'), QStringLiteral("\"\"")) + QLatin1Char('"');
    return text.toUtf8();
  };
  QByteArray out = quoted(m_rowsTitle);
  for (int c = 0; c < m_columns; ++c) out += ',' + quoted(columnLabel(c));
  out += '\n';
  for (int r = 0; r < m_rows; ++r) {
    out += quoted(rowLabel(r));
    for (int c = 0; c < m_columns; ++c) {
      out += ',';
      if (std::isfinite(value(r, c))) out += QByteArray::number(static_cast<double>(value(r, c)), 'g', 9);
    }
    out += '\n';
  }
  return out;
}

bool Heatmap::exportTo(const QString& file, QString* problem) {
  const QString suffix = QFileInfo(file).suffix().toLower();
  bool done = false;
  QString reason = tr("It could not be written there. Choose a folder that you may write to.");
  if (suffix == QLatin1String("csv")) {
    QSaveFile out(file);
    const QByteArray bytes = toCsv();
    done = out.open(QIODevice::WriteOnly) && out.write(bytes) == bytes.size() && out.commit();
    if (!done) reason = out.errorString();
  } else if (suffix == QLatin1String("png")) {
    QImage image(size() * 2, QImage::Format_RGB32);
    image.setDevicePixelRatio(2);
    QPainter painter(&image);
    paintAll(painter, size(), true);
    painter.end();
    done = image.save(file);
  } else if (suffix == QLatin1String("svg")) {
    QSvgGenerator generator;
    generator.setFileName(file);
    generator.setSize(size());
    generator.setViewBox(rect());
    QPainter painter;
    if (painter.begin(&generator)) {
      paintAll(painter, size(), true);
      done = painter.end();
    }
  } else if (suffix == QLatin1String("pdf")) {
    QPdfWriter writer(file);
    writer.setPageSize(QPageSize(QSizeF(size()) * 0.75, QPageSize::Point));
    writer.setPageMargins(QMarginsF(0, 0, 0, 0));
    writer.setResolution(96);
    QPainter painter;
    if (painter.begin(&writer)) {
      paintAll(painter, size(), true);
      done = painter.end();
    }
  } else {
    reason = tr("“%1” is not a known kind of file; use .png, .svg, .pdf or .csv.").arg(suffix);
  }
  if (!done && problem) *problem = QStringLiteral("%1: %2").arg(file, reason);
  return done;
}

void Heatmap::copyImage() { QApplication::clipboard()->setPixmap(grab()); }

void Heatmap::fillMenu(QMenu* menu) {
  connect(menu->addAction(icon(QStringLiteral("copy")), tr("Copy picture")), &QAction::triggered, this, [this] { copyImage(); });
  connect(menu->addAction(icon(QStringLiteral("table")), tr("Copy values as CSV")), &QAction::triggered, this,
          [this] { QApplication::clipboard()->setText(QString::fromUtf8(toCsv())); });
  connect(menu->addAction(icon(QStringLiteral("export")), tr("Export…")), &QAction::triggered, this, [this] {
    QString name = m_title.isEmpty() ? tr("heatmap") : m_title;
    name.replace(QLatin1Char('/'), QLatin1Char('-'));
    const QString file = QFileDialog::getSaveFileName(this, tr("Export heatmap"), name + QStringLiteral(".pdf"),
                                                      tr("PDF (*.pdf);;SVG (*.svg);;PNG (*.png);;Values (*.csv)"));
    QString problem;
    if (!file.isEmpty() && !exportTo(file, &problem)) QMessageBox::warning(this, tr("Export heatmap"), problem);
  });
  for (QAction* action : menu->actions()) action->setEnabled(!m_values.empty());
}

void Heatmap::contextMenuEvent(QContextMenuEvent* event) {
  auto* menu = new QMenu(this);
  menu->setAttribute(Qt::WA_DeleteOnClose);
  fillMenu(menu);
  menu->popup(event->globalPos());
}

}  // namespace rankscope::ui

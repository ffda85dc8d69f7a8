#pragma once
// A matrix as colours, with its scale, a readout under the cursor, and export: |cos| between singular vectors, or a figure
// per layer and matrix. Magnitudes in viridis or cividis, signed values in a diverging map centred on zero.
// GUI thread only; the values are copied in once and drawn by pixels (block maxima when there are more cells than pixels,
// so that a single bright cell never disappears).

#include <QColor>
#include <QImage>
#include <QString>
#include <QStringList>
#include <QWidget>

#include <optional>
#include <vector>

class QMenu;

namespace rankscope::ui {

enum class ColourMap { Viridis, Cividis, Diverging };

QColor mapColour(ColourMap map, double share);    // share 0 … 1

class Heatmap : public QWidget {
  Q_OBJECT
 public:
  explicit Heatmap(QWidget* parent = nullptr);

  // values: row-major, rows × columns; a value that is not finite is drawn hatched ("not measured").
  void setValues(int rows, int columns, std::vector<float> values);
  void clear();
  bool isEmpty() const { return m_values.empty(); }
  int rows() const { return m_rows; }
  int columns() const { return m_columns; }
  float value(int row, int column) const;

  void setTitle(const QString& title);            // also the accessible name
  void setAxisTitles(const QString& columns, const QString& rows);
  void setRowLabels(const QStringList& labels);   // one per row (layers, matrices); empty = numbers from 1
  void setColumnLabels(const QStringList& labels);
  void setValueTitle(const QString& title);       // of the colour scale
  void setColourMap(ColourMap map);
  void setRange(double lower, double upper);      // fixed scale
  void setAutoRange();                            // by the values (symmetric about zero for Diverging)
  void setEmptyText(const QString& text);
  void setSquareCells(bool on);                   // equal sides (for |cos|); otherwise fills the room
  void setDecimals(int decimals);
  // A rectangle drawn around one cell; also moved by the arrow keys when the heatmap has the focus.
  void setSelected(int row, int column);
  std::optional<QPoint> selected() const { return m_selected; }  // x = column, y = row
  // Rows whose labels are drawn in the warning colour (intruder dimensions).
  void setMarkedColumns(std::vector<int> columns);

  bool exportTo(const QString& file, QString* problem = nullptr);  // .png .svg .pdf .csv
  QByteArray toCsv() const;
  void copyImage();
  void fillMenu(QMenu* menu);

  QSize sizeHint() const override { return {420, 360}; }
  QSize minimumSizeHint() const override { return {200, 160}; }

 Q_SIGNALS:
  void cellClicked(int row, int column);          // click, or Return on the selected cell
  void cellHovered(int row, int column, float value);
  void left();

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void contextMenuEvent(QContextMenuEvent* event) override;
  void changeEvent(QEvent* event) override;

 private:
  struct Layout {
    QRectF cells, scale;
    double cellWidth = 0, cellHeight = 0;
  };
  Layout layoutFor(const QSizeF& size) const;
  void paintAll(QPainter& painter, const QSizeF& size, bool forExport) const;
  void paintAxes(QPainter& painter, const Layout& layout) const;
  void paintScale(QPainter& painter, const Layout& layout) const;
  QImage cellImage(const QSize& pixels) const;
  std::optional<QPoint> cellAt(const QPointF& position) const;
  QString rowLabel(int row) const;
  QString columnLabel(int column) const;
  QString format(double value) const;
  void updateRange();
  void announceSelection();

  int m_rows = 0, m_columns = 0;
  std::vector<float> m_values;
  QString m_title, m_columnsTitle, m_rowsTitle, m_valueTitle, m_emptyText;
  QStringList m_rowLabels, m_columnLabels;
  std::vector<int> m_marked;
  ColourMap m_map = ColourMap::Viridis;
  bool m_autoRange = true, m_square = false;
  double m_lower = 0, m_upper = 1;
  int m_decimals = 3;
  std::optional<QPoint> m_selected, m_hovered;
  mutable QImage m_cache;
};

}  // namespace rankscope::ui

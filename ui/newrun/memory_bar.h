#pragma once
// The estimated memory of a run as one stacked bar by component, a gauge below it against what the machine has free, and
// a legend of figures. Reads out under the cursor. GUI thread.

#include <QVector>
#include <QWidget>

namespace rankscope::ui {

struct MemoryPart {
  QString key;    // "weights"
  QString title;  // translated
  double bytes = 0;
};

class MemoryBar : public QWidget {
  Q_OBJECT

 public:
  explicit MemoryBar(QWidget* parent = nullptr);
  void setParts(QVector<MemoryPart> parts, double available);
  void clear();
  double total() const;
  double available() const { return m_available; }
  bool fits() const { return m_available <= 0 || total() <= m_available; }

  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool event(QEvent* event) override;

 private:
  QRectF barRect() const;
  QColor colourOf(int part) const;
  int columns() const;

  QVector<MemoryPart> m_parts;
  double m_available = 0;
};

}  // namespace rankscope::ui

#pragma once
// The drawing of a method (method_recipes.h) in the theme's colours: frozen parts grey under a lock, trained ones in the
// accent, computed ones dashed; factors as thick as the rank says. It keeps its height, so that a page does not jump when
// another method is chosen, and shrinks where there is no room. GUI thread.

#include <QWidget>

namespace rankscope::ui {

struct MethodRecipe;

class MethodDrawing : public QWidget {
  Q_OBJECT

 public:
  explicit MethodDrawing(QWidget* parent = nullptr);
  // Rank 0: the method has none.
  void setMethod(const QString& method, qint64 rank);
  QString method() const { return m_method; }
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;

 private:
  void paintKey(QPainter& painter) const;

  QString m_method;
  const MethodRecipe* m_recipe = nullptr;
  qint64 m_rank = 0;
};

}  // namespace rankscope::ui

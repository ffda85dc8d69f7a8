// Mouse and keys of a plot (plot_canvas.h).
#include "ui/plots/plot_canvas.h"

namespace rankscope::ui {

namespace {

constexpr double kWheelZoom = 0.85;   // per notch
constexpr double kClickDistance = 4;  // pixels; farther is a drag
constexpr double kHitDistance = 7;

double moved(double value, double by, double scale, bool log) {
  return log ? value * std::pow(10, by / scale) : value + by / scale;
}

}  // namespace

void PlotCanvas::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  if (event->button() != Qt::LeftButton) return;
  const QRect area = axisRect()->rect();
  m_pressed = event->position();
  m_rangeAtPress = range();
  m_moved = false;
  if (area.contains(m_pressed.toPoint()))
    m_drag = event->modifiers() & Qt::ShiftModifier ? Drag::Box : Drag::Pan;
  else if (m_pressed.y() > area.bottom())
    m_drag = Drag::PanX;
  else if (m_pressed.x() < area.left())
    m_drag = Drag::PanY;
}

void PlotCanvas::panTo(const QPointF& position) {
  const QRect area = axisRect()->rect();
  const QPointF by = m_pressed - position;
  PlotRange r = m_rangeAtPress;
  if (m_drag != Drag::PanY) {
    const double scale = area.width() / std::max(measure(r.x1, logX) - measure(r.x0, logX), 1e-300);
    r.x0 = moved(r.x0, by.x(), scale, logX);
    r.x1 = moved(r.x1, by.x(), scale, logX);
  }
  if (m_drag != Drag::PanX) {
    const double scale = area.height() / std::max(measure(r.y1, logY) - measure(r.y0, logY), 1e-300);
    r.y0 = moved(r.y0, -by.y(), scale, logY);
    r.y1 = moved(r.y1, -by.y(), scale, logY);
  }
  setRange(r, false);
}

void PlotCanvas::mouseMoveEvent(QMouseEvent* event) {
  const QPointF at = event->position();
  const QRect area = axisRect()->rect();
  if (m_drag != Drag::None) {
    if (!m_moved && (at - m_pressed).manhattanLength() < kClickDistance) return;
    if (!m_moved) {
      m_moved = true;
      if (m_drag != Drag::Box) {
        remember();
        QWidget::setCursor(Qt::ClosedHandCursor);
      }
      setCursor(0, false, true);
    }
    if (m_drag == Drag::Box) {
      cursorLayer->box = QRectF(m_pressed, at).normalized() & QRectF(area);
      layer(QStringLiteral("cursor"))->replot();
    } else {
      panTo(at);
    }
    return;
  }
  if (area.contains(at.toPoint())) {
    m_hovered = true;
    cursorLayer->mouse = at;
    setCursor(xAxis->pixelToCoord(at.x()), true, true);
  } else if (m_hovered) {
    m_hovered = false;
    setCursor(0, false, true);
  }
}

void PlotCanvas::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  const Drag drag = std::exchange(m_drag, Drag::None);
  QWidget::unsetCursor();
  if (drag == Drag::Box) {
    const QRectF box = std::exchange(cursorLayer->box, QRectF());
    if (m_moved && box.width() > 4 && box.height() > 4)
      setRange({xAxis->pixelToCoord(box.left()), xAxis->pixelToCoord(box.right()), yAxis->pixelToCoord(box.bottom()),
                yAxis->pixelToCoord(box.top())}, true);
    queueReplot();
    return;
  }
  if (drag == Drag::Pan && !m_moved) {
    if (const PlotCurve* curve = curveLayer->curveAt(event->position(), kHitDistance))
      Q_EMIT clicked(curve->id, xAxis->pixelToCoord(event->position().x()), yAxis->pixelToCoord(event->position().y()));
  }
}

void PlotCanvas::mouseDoubleClickEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  m_drag = Drag::None;
  remember();
  fit();
  announceRange();
  following = follow;
}

void PlotCanvas::zoomBy(double factorX, double factorY, const QPointF& about) {
  PlotRange r = range();
  const auto zoom = [](double& lower, double& upper, double centre, double factor, bool log) {
    if (log) {
      lower = centre * std::pow(lower / centre, factor);
      upper = centre * std::pow(upper / centre, factor);
    } else {
      lower = centre + (lower - centre) * factor;
      upper = centre + (upper - centre) * factor;
    }
  };
  if (factorX != 1) zoom(r.x0, r.x1, xAxis->pixelToCoord(about.x()), factorX, logX);
  if (factorY != 1) zoom(r.y0, r.y1, yAxis->pixelToCoord(about.y()), factorY, logY);
  setRange(r, false);
}

void PlotCanvas::wheelEvent(QWheelEvent* event) {
  const double turns = (event->angleDelta().y() != 0 ? event->angleDelta().y() : event->angleDelta().x()) / 120.0;
  if (turns == 0) return;
  if (!m_wheelPause.isActive()) remember();
  m_wheelPause.start();
  const double factor = std::pow(kWheelZoom, turns);
  const QRect area = axisRect()->rect();
  const bool onY = event->modifiers() & Qt::ControlModifier || event->position().x() < area.left();
  zoomBy(onY ? 1 : factor, onY ? factor : 1, event->position());
  event->accept();
}

void PlotCanvas::keyPressEvent(QKeyEvent* event) {
  const QRect area = axisRect()->rect();
  const QPointF centre = area.center();
  const auto pan = [&](double dx, double dy) {
    m_pressed = QPointF(0, 0);
    m_rangeAtPress = range();
    m_drag = Drag::Pan;
    remember();
    panTo(QPointF(-dx * area.width(), -dy * area.height()));
    m_drag = Drag::None;
  };
  switch (event->key()) {
    case Qt::Key_Left: pan(-0.1, 0); return;
    case Qt::Key_Right: pan(0.1, 0); return;
    case Qt::Key_Up: pan(0, -0.1); return;
    case Qt::Key_Down: pan(0, 0.1); return;
    case Qt::Key_Plus:
    case Qt::Key_Equal: remember(); zoomBy(kWheelZoom, 1, centre); return;
    case Qt::Key_Minus: remember(); zoomBy(1 / kWheelZoom, 1, centre); return;
    case Qt::Key_Home:
    case Qt::Key_0:
      remember();
      fit();
      announceRange();
      following = follow;
      return;
    case Qt::Key_Backspace: step(event->modifiers() & Qt::ShiftModifier ? 1 : -1); return;
    case Qt::Key_Menu: Q_EMIT menuAsked(area.center()); return;
    default: QCustomPlot::keyPressEvent(event);
  }
}

void PlotCanvas::leaveEvent(QEvent* event) {
  if (m_hovered) {
    m_hovered = false;
    setCursor(0, false, true);
  }
  QCustomPlot::leaveEvent(event);
}

void PlotCanvas::contextMenuEvent(QContextMenuEvent* event) { Q_EMIT menuAsked(event->pos()); }

}  // namespace rankscope::ui

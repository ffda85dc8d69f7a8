#include "ui/plots/plot.h"

#include "ui/plots/plot_canvas.h"
#include "ui/theme/theme.h"

#include <QElapsedTimer>
#include <QMenu>
#include <QVBoxLayout>

namespace rankscope::ui {

QString xAxisTitle(XAxis axis) {
  switch (axis) {
    case XAxis::Epoch: return Plot::tr("Epoch");
    case XAxis::Tokens: return Plot::tr("Tokens");
    case XAxis::Time: return Plot::tr("Time");
    case XAxis::Step: break;
  }
  return Plot::tr("Step");
}

Plot::Plot(QWidget* parent) : QWidget(parent), m_canvas(new PlotCanvas(this)) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(m_canvas);
  setFocusProxy(m_canvas);
  setEmptyText(tr("Nothing to draw yet"));
  connect(m_canvas, &PlotCanvas::clicked, this, &Plot::curveClicked);
  connect(m_canvas, &PlotCanvas::cursorMoved, this, &Plot::cursorMoved);
  connect(m_canvas, &PlotCanvas::historyChanged, this, &Plot::zoomHistoryChanged);
  connect(m_canvas, &PlotCanvas::menuAsked, this, [this](const QPoint& at) {
    auto* menu = new QMenu(this);
    menu->setAttribute(Qt::WA_DeleteOnClose);
    fillMenu(menu);
    menu->popup(m_canvas->mapToGlobal(at));
  });
}

Plot::~Plot() {
  m_canvas->disconnect(this);
  if (m_canvas->group) m_canvas->group->disconnect(m_canvas);
}

void Plot::setTitle(const QString& title, const QString& unit) {
  m_canvas->title = title;
  m_canvas->unit = unit;
  m_canvas->applyAxes();
  m_canvas->queueReplot();
  setAccessibleName(title);
  m_canvas->setAccessibleName(title);
  m_canvas->setAccessibleDescription(tr("Plot. Arrow keys move, plus and minus zoom, Home shows everything."));
}

QString Plot::title() const { return m_canvas->title; }

void Plot::setEmptyText(const QString& text) {
  m_canvas->labelLayer->emptyText = text;
  m_canvas->queueReplot();
}

void Plot::setCurve(const QString& id, const QString& label, const CurveStyle& style, CurvePoints points) {
  PlotCurve* curve = m_canvas->find(id);
  if (!curve) {
    m_canvas->curves.push_back(std::make_unique<PlotCurve>());
    curve = m_canvas->curves.back().get();
    curve->id = id;
    curve->data.setAxis(m_canvas->axis);
    curve->style.order = style.order;
    m_canvas->sortCurves();
  }
  const bool reorder = curve->style.order != style.order;
  curve->label = label;
  curve->style = style;
  curve->data.set(std::move(points));
  if (reorder) m_canvas->sortCurves();
  if (style.smoothable && m_canvas->smoothing > 0 && !curve->data.smoothed())
    m_canvas->applySmoothing();
  else
    m_canvas->curvesChanged();
}

void Plot::appendCurve(const QString& id, const CurvePoints& more) {
  if (PlotCurve* curve = m_canvas->find(id)) {
    curve->data.append(more);
    m_canvas->curvesChanged();
  }
}

void Plot::setCurveStyle(const QString& id, const CurveStyle& style) {
  if (PlotCurve* curve = m_canvas->find(id)) {
    curve->style = style;
    m_canvas->sortCurves();
    m_canvas->queueReplot();
  }
}

void Plot::setCurveVisible(const QString& id, bool visible) {
  PlotCurve* curve = m_canvas->find(id);
  if (!curve || curve->visible == visible) return;
  curve->visible = visible;
  m_canvas->curvesChanged();
}

void Plot::removeCurve(const QString& id) {
  if (m_canvas->curves.remove_if([&](const auto& curve) { return curve->id == id; }) > 0) m_canvas->curvesChanged();
}

void Plot::clearCurves() {
  m_canvas->curves.clear();
  m_canvas->history.clear();
  m_canvas->historyAt = 0;
  m_canvas->following = m_canvas->follow;
  m_canvas->curvesChanged();
}

bool Plot::hasCurve(const QString& id) const { return m_canvas->find(id) != nullptr; }

QStringList Plot::curveIds() const {
  QStringList ids;
  for (const auto& curve : m_canvas->curves) ids << curve->id;
  return ids;
}

void Plot::setHighlighted(const QString& id) {
  if (m_canvas->curveLayer->highlighted == id) return;
  m_canvas->curveLayer->highlighted = id;
  m_canvas->queueReplot();
}

void Plot::setMarks(std::vector<PlotMark> marks) {
  m_canvas->markLayer->marks = std::move(marks);
  m_canvas->queueReplot();
}

void Plot::setXAxis(XAxis axis) {
  if (axis == m_canvas->axis) return;
  m_canvas->axis = axis;
  for (const auto& curve : m_canvas->curves) curve->data.setAxis(axis);
  m_canvas->history.clear();  // ranges of another axis mean nothing
  m_canvas->historyAt = 0;
  m_canvas->following = m_canvas->follow;
  m_canvas->applyAxes();
  m_canvas->fit();
}

XAxis Plot::xAxis() const { return m_canvas->axis; }

void Plot::setWorkTitle(const QString& title) {
  m_canvas->workTitle = title;
  m_canvas->curvesChanged();
}

void Plot::setXLabel(const QString& label) {
  m_canvas->xLabel = label;
  m_canvas->applyAxes();
  m_canvas->queueReplot();
}

void Plot::setXTicks(std::vector<double> ticks) {
  m_canvas->xTicks = std::move(ticks);
  m_canvas->applyAxes();
  m_canvas->queueReplot();
}

void Plot::setLogX(bool on) {
  if (on == m_canvas->logX) return;
  m_canvas->logX = on;
  m_canvas->applyAxes();
  m_canvas->fit();
  Q_EMIT optionsChanged();
}

void Plot::setLogY(bool on) {
  if (on == m_canvas->logY) return;
  m_canvas->logY = on;
  m_canvas->applyAxes();
  m_canvas->fit();
  Q_EMIT optionsChanged();
}

bool Plot::logX() const { return m_canvas->logX; }
bool Plot::logY() const { return m_canvas->logY; }

void Plot::setSmoothing(double weight) {
  weight = std::clamp(weight, 0.0, 0.9999);
  if (weight == m_canvas->smoothing) return;
  m_canvas->smoothing = weight;
  m_canvas->applySmoothing();
  Q_EMIT optionsChanged();
}

double Plot::smoothing() const { return m_canvas->smoothing; }

void Plot::setClipOutliers(bool on) {
  m_canvas->clipOutliers = on;
  if (m_canvas->following) m_canvas->fit();
}

void Plot::setShowLegend(bool on) {
  m_canvas->labelLayer->enabled = on;
  m_canvas->curvesChanged();
}

void Plot::setGroup(PlotGroup* group) { m_canvas->setGroup(group); }

void Plot::fit() {
  m_canvas->following = m_canvas->follow;
  m_canvas->fit();
}

void Plot::setXRange(double lower, double upper) {
  PlotRange range = m_canvas->range();
  range.x0 = lower;
  range.x1 = upper;
  m_canvas->setRange(range, true);
}

void Plot::setFollow(bool on) {
  m_canvas->follow = on;
  m_canvas->following = on;
}

void Plot::zoomBack() { m_canvas->step(-1); }
void Plot::zoomForward() { m_canvas->step(1); }
bool Plot::canZoomBack() const { return m_canvas->historyAt > 0; }
bool Plot::canZoomForward() const { return m_canvas->historyAt < m_canvas->history.size(); }

std::vector<PlotReadout> Plot::readoutAt(double x) const { return m_canvas->readouts(x); }

QJsonObject Plot::saveState() const {
  return {{QStringLiteral("logX"), logX()},
          {QStringLiteral("logY"), logY()},
          {QStringLiteral("smoothing"), smoothing()},
          {QStringLiteral("clip"), m_canvas->clipOutliers},
          {QStringLiteral("axis"), static_cast<int>(xAxis())}};
}

void Plot::restoreState(const QJsonObject& state) {
  setXAxis(static_cast<XAxis>(std::clamp(state.value(QStringLiteral("axis")).toInt(), 0, 3)));
  setLogX(state.value(QStringLiteral("logX")).toBool());
  setLogY(state.value(QStringLiteral("logY")).toBool());
  setClipOutliers(state.value(QStringLiteral("clip")).toBool());
  setSmoothing(state.value(QStringLiteral("smoothing")).toDouble());
}

double Plot::renderNow() {
  QElapsedTimer timer;
  timer.start();
  m_canvas->replot(QCustomPlot::rpImmediateRefresh);
  return static_cast<double>(timer.nsecsElapsed()) * 1e-6;
}

QSize Plot::sizeHint() const { return {480, 260}; }
QSize Plot::minimumSizeHint() const { return {200, 120}; }

}  // namespace rankscope::ui

#include "ui/plots/plot_canvas.h"

#include "ui/plots/plot_ticks.h"
#include "ui/theme/theme.h"

#include <QtConcurrent/QtConcurrentMap>
#include <QtConcurrent/QtConcurrentRun>

namespace rankscope::ui {

namespace {

constexpr size_t kMostHistory = 100;
constexpr size_t kSmoothInline = 150000;  // points that are smoothed at once; more go to worker threads

bool usable(double lower, double upper, bool log) {
  return std::isfinite(lower) && std::isfinite(upper) && upper > lower && (!log || lower > 0);
}

}  // namespace

PlotCanvas::PlotCanvas(Plot* owner) : QCustomPlot(owner) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setPlottingHints(QCP::phCacheLabels);
  setAntialiasedElements(QCP::aeNone);
  addLayer(QStringLiteral("cursor"), layer(QStringLiteral("overlay")), limAbove);
  layer(QStringLiteral("cursor"))->setMode(QCPLayer::lmBuffered);

  titleElement = new QCPTextElement(this, QString());
  titleElement->setTextFlags(Qt::AlignLeft | Qt::AlignVCenter);
  titleElement->setMargins(QMargins(4, 5, 4, 3));
  titleElement->setVisible(false);
  axisRect()->setMinimumMargins(QMargins(8, 6, 10, 4));
  axisRect()->setupFullAxesBox(false);
  xAxis2->setVisible(false);
  yAxis2->setVisible(false);

  curveLayer = new CurveLayer(xAxis, yAxis, curves);
  markLayer = new MarkLayer(axisRect());
  labelLayer = new LabelLayer(axisRect(), curves);
  cursorLayer = new CursorLayer(axisRect());

  for (QCPAxis* a : {xAxis, yAxis}) {
    a->grid()->setSubGridVisible(false);
    a->grid()->setZeroLinePen(Qt::NoPen);
    a->setTickLengthIn(0);
    a->setTickLengthOut(0);
    a->setSubTickLength(0, 0);
    a->setTickLabelPadding(4);
    a->setLabelPadding(2);
  }
  m_wheelPause.setSingleShot(true);
  m_wheelPause.setInterval(400);
  connect(&Theme::instance(), &Theme::changed, this, &PlotCanvas::applyTheme);
  applyAxes();
  applyTheme();
  curvesChanged();
}

void PlotCanvas::applyTheme() {
  const Palette& p = colours();
  setBackground(QBrush(p.field));
  const QFont small = Theme::instance().smallFont();
  for (QCPAxis* a : {xAxis, yAxis}) {
    a->setBasePen(QPen(p.ruleStrong, 1));
    a->setTickPen(Qt::NoPen);
    a->setSubTickPen(Qt::NoPen);
    a->setTickLabelFont(small);
    a->setTickLabelColor(p.textMuted);
    a->setLabelFont(small);
    a->setLabelColor(p.textMuted);
    a->grid()->setPen(QPen(p.grid, 1));
  }
  yAxis->setBasePen(Qt::NoPen);
  titleElement->setFont([] {
    QFont font = Theme::instance().uiFont();
    font.setWeight(QFont::DemiBold);
    return font;
  }());
  titleElement->setTextColor(p.text);
  queueReplot();
}

QString PlotCanvas::xTitle() const {
  if (!xLabel.isEmpty()) return xLabel;
  return axis == XAxis::Tokens && !workTitle.isEmpty() ? workTitle : xAxisTitle(axis);
}

void PlotCanvas::applyAxes() {
  xAxis->setScaleType(logX ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
  yAxis->setScaleType(logY ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
  xAxis->setTicker(xTicks.empty() ? tickerForX(axis, logX) : QSharedPointer<QCPAxisTicker>(new FixedTicker(xTicks)));
  yAxis->setTicker(tickerForY(logY));
  if (xAxis->tickLabels()) xAxis->setLabel(xTitle());
  markLayer->axis = axis;

  const bool withTitle = !title.isEmpty();
  const QString text = unit.isEmpty() ? title : QStringLiteral("%1  (%2)").arg(title, unit);
  titleElement->setText(text);
  const bool placed = titleElement->layout() != nullptr;
  if (withTitle && !placed) {
    plotLayout()->insertRow(0);
    plotLayout()->addElement(0, 0, titleElement);
    plotLayout()->setRowSpacing(0);
  }
  titleElement->setVisible(withTitle);
}

PlotCurve* PlotCanvas::find(const QString& id) const {
  for (const auto& curve : curves)
    if (curve->id == id) return curve.get();
  return nullptr;
}

void PlotCanvas::sortCurves() {
  curves.sort([](const auto& a, const auto& b) { return a->style.order < b->style.order; });
}

void PlotCanvas::curvesChanged() {
  // Axes around nothing would only be numbers without a meaning.
  const bool nothing = std::none_of(curves.begin(), curves.end(),
                                    [](const auto& curve) { return curve->visible && !curve->data.empty(); });
  for (QCPAxis* a : {xAxis, yAxis}) {
    a->setTickLabels(!nothing);
    a->grid()->setVisible(!nothing);
  }
  xAxis->setLabel(nothing ? QString() : xTitle());
  if (following) fit();
  updateMargins();
  queueReplot();
}

void PlotCanvas::updateMargins() {
  axisRect()->setMinimumMargins(QMargins(8, 6, std::max(10, labelLayer->wantedMargin()), 4));
}

void PlotCanvas::resizeEvent(QResizeEvent* event) {
  updateMargins();
  QCustomPlot::resizeEvent(event);
}

// --- smoothing ------------------------------------------------------------------------------------------------------

void PlotCanvas::applySmoothing() {
  const int job = ++m_smoothJob;
  curveLayer->smoothing = smoothing > 0;
  std::vector<std::pair<QString, std::vector<double>>> later;
  size_t inlinePoints = 0;
  for (const auto& curve : curves) {
    const double weight = curve->style.smoothable ? smoothing : 0;
    const SmoothedCurve* now = curve->data.smoothed();
    if ((now ? now->smoother.weight : 0) == weight) continue;
    inlinePoints += curve->data.size();
    if (weight > 0 && inlinePoints > kSmoothInline)
      later.emplace_back(curve->id, curve->data.y());
    else
      curve->data.setSmoothing(weight);
  }
  if (later.empty()) {
    curvesChanged();
    return;
  }
  using Results = QList<QPair<QString, std::shared_ptr<SmoothedCurve>>>;
  auto* watcher = new QFutureWatcher<Results>(this);
  connect(watcher, &QFutureWatcher<Results>::finished, this, [this, watcher, job] {
    watcher->deleteLater();
    if (job != m_smoothJob) return;  // the slider has moved on
    for (const auto& [id, smoothed] : watcher->result())
      if (PlotCurve* curve = find(id); curve && curve->data.size() >= smoothed->y.size()) curve->data.adopt(smoothed);
    curvesChanged();
  });
  watcher->setFuture(QtConcurrent::run([later = std::move(later), weight = smoothing] {
    Results results;
    for (const auto& [id, values] : later) {
      auto smoothed = std::make_shared<SmoothedCurve>();
      smoothed->smoother.weight = weight;
      smoothed->grow(values);
      results.push_back({id, smoothed});
    }
    return results;
  }));
}

// --- ranges ---------------------------------------------------------------------------------------------------------

double PlotCanvas::measure(double value, bool log) const { return log ? std::log10(std::max(value, 1e-300)) : value; }

PlotRange PlotCanvas::range() const {
  return {xAxis->range().lower, xAxis->range().upper, yAxis->range().lower, yAxis->range().upper};
}

void PlotCanvas::fitRanges(PlotRange& fitted) const {
  bool found = false;
  const QCPRange x = curveLayer->getKeyRange(found, logX ? QCP::sdPositive : QCP::sdBoth);
  if (!found) {
    fitted = logX || logY ? PlotRange{1, 10, 1, 10} : PlotRange{0, 1, 0, 1};
    return;
  }
  fitted.x0 = x.lower;
  fitted.x1 = x.upper;
  if (!(fitted.x1 > fitted.x0)) {
    fitted.x0 = logX ? x.lower / 2 : x.lower - 0.5;
    fitted.x1 = logX ? x.upper * 2 : x.upper + 0.5;
  }
  QCPRange y = curveLayer->getValueRange(found, logY ? QCP::sdPositive : QCP::sdBoth);
  if (!found) y = logY ? QCPRange(1, 10) : QCPRange(0, 1);
  labelLayer->note.clear();
  if (clipOutliers) {
    // The quantiles may come from a regular choice of points; the count of those left out is exact.
    std::vector<double> values;
    for (const auto& curve : curves) {
      if (!curve->visible) continue;
      const std::vector<double>& all = curve->data.y();
      const size_t stride = std::max<size_t>(1, all.size() / 8192);
      for (size_t i = 0; i < all.size(); i += stride)
        if (std::isfinite(all[i]) && (!logY || all[i] > 0)) values.push_back(all[i]);
      for (const std::vector<double>* edge : {&curve->data.points().lower, &curve->data.points().upper})
        for (size_t i = 0; i < edge->size(); i += stride)
          if (std::isfinite((*edge)[i]) && (!logY || (*edge)[i] > 0)) values.push_back((*edge)[i]);
    }
    if (values.size() >= 20) {
      const auto quantile = [&values](double q) {
        const auto at = static_cast<qsizetype>(q * static_cast<double>(values.size() - 1));
        std::nth_element(values.begin(), values.begin() + at, values.end());
        return values[static_cast<size_t>(at)];
      };
      const double low = quantile(0.01), high = quantile(0.99);
      const double room = (measure(high, logY) - measure(low, logY)) * 0.15;
      const auto back = [this](double v) { return logY ? std::pow(10, v) : v; };
      const double lower = std::max(y.lower, back(measure(low, logY) - room));
      const double upper = std::min(y.upper, back(measure(high, logY) + room));
      if (upper > lower && (lower > y.lower || upper < y.upper)) {
        size_t left = 0;
        for (const auto& curve : curves)
          if (curve->visible)
            for (const double v : curve->data.y()) left += std::isfinite(v) && (v < lower || v > upper);
        if (left > 0) labelLayer->note = Plot::tr("%n point(s) outside", nullptr, static_cast<int>(left));
        y = QCPRange(lower, upper);
      }
    }
  }
  double s0 = measure(y.lower, logY), s1 = measure(y.upper, logY);
  if (!(s1 > s0)) {
    const double pad = logY ? 0.3 : s0 == 0 ? 1 : std::abs(s0) * 0.1;
    s0 -= pad;
    s1 += pad;
  }
  const double pad = (s1 - s0) * 0.05;
  fitted.y0 = logY ? std::pow(10, s0 - pad) : s0 - pad;
  fitted.y1 = logY ? std::pow(10, s1 + pad) : s1 + pad;
}

void PlotCanvas::fit() {
  PlotRange fitted;
  fitRanges(fitted);
  xAxis->setRange(fitted.x0, fitted.x1);
  yAxis->setRange(fitted.y0, fitted.y1);
  queueReplot();
}

void PlotCanvas::setRange(const PlotRange& range, bool rememberOld) {
  if (!usable(range.x0, range.x1, logX) || !usable(range.y0, range.y1, logY)) return;
  if (rememberOld) remember();
  following = false;
  xAxis->setRange(range.x0, range.x1);
  yAxis->setRange(range.y0, range.y1);
  announceRange();
  queueReplot();
}

void PlotCanvas::remember() {
  history.resize(historyAt);
  history.push_back(range());
  if (history.size() > kMostHistory) history.erase(history.begin());
  historyAt = history.size();
  Q_EMIT historyChanged();
}

// Going back swaps the present range with the stored one, so that going forward finds it again.
void PlotCanvas::step(int direction) {
  if (direction < 0 ? historyAt == 0 : historyAt >= history.size()) return;
  const size_t index = direction < 0 ? --historyAt : historyAt++;
  const PlotRange stored = history[index];
  history[index] = range();
  setRange(stored, false);
  Q_EMIT historyChanged();
}

void PlotCanvas::announceRange() {
  if (group && !m_silent) group->changeRange(this, xAxis->range().lower, xAxis->range().upper);
}

void PlotCanvas::setGroup(PlotGroup* to) {
  if (group) group->disconnect(this);
  group = to;
  if (!group) return;
  connect(group, &PlotGroup::cursorMoved, this, [this](QObject* from, double x, bool shown) {
    if (from != this) setCursor(x, shown, false);
  });
  connect(group, &PlotGroup::rangeChanged, this, [this](QObject* from, double lower, double upper) {
    if (from == this || !usable(lower, upper, logX)) return;
    m_silent = true;
    following = false;
    xAxis->setRange(lower, upper);
    queueReplot();
    m_silent = false;
  });
}

std::vector<PlotReadout> PlotCanvas::readouts(double x) const {
  std::vector<PlotReadout> list;
  for (const auto& curve : curves) {
    if (!curve->visible || curve->data.empty()) continue;
    PlotReadout readout{curve->id, curve->label.isEmpty() ? title : curve->label, curve->style.colour, 0, 0, false};
    const std::vector<double>& xs = curve->data.x();
    // A curve says nothing beyond its ends (by more than a tenth of what is in view).
    const double reach = (xAxis->range().upper - xAxis->range().lower) * 0.1;
    if (x >= xs.front() - reach && x <= xs.back() + reach) {
      if (const auto at = curve->data.nearest(x)) {
        readout.x = xs[*at];
        readout.y = curve->data.smoothed() ? curve->data.smoothed()->y[*at] : curve->data.y()[*at];
        readout.valid = std::isfinite(readout.y);
      }
    }
    list.push_back(std::move(readout));
  }
  return list;
}

void PlotCanvas::setCursor(double x, bool shown, bool own) {
  cursorLayer->shown = shown;
  cursorLayer->withReadout = own;
  cursorLayer->x = x;
  if (shown) {
    cursorLayer->lines = readouts(x);
    cursorLayer->heading = QStringLiteral("%1 %2").arg(xTitle(), formatX(axis, x));
  }
  layer(QStringLiteral("cursor"))->replot();
  if (own) {
    if (group) group->moveCursor(this, x, shown);
    Q_EMIT cursorMoved(x, shown);
  }
}

void PlotCanvas::changeEvent(QEvent* event) {
  if (event->type() == QEvent::FontChange) applyTheme();
  QCustomPlot::changeEvent(event);
}

}  // namespace rankscope::ui

#include "ui/live/live_plots.h"

#include <QApplication>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QScrollArea>
#include <QSignalBlocker>
#include <QSlider>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kFourColumns = 1000;  // px from which the small plots stand in four columns
constexpr int kRowHeight = 144;
constexpr int kSmoothingSteps = 100;

// The slider's way to the weight: fine near 1, where it matters (0.9, 0.99, 0.999).
double smoothingWeight(int position) {
  if (position <= 0) return 0;
  return 1 - std::pow(10.0, -3.0 * position / kSmoothingSteps);
}

}  // namespace

LivePlots::LivePlots(QWidget* parent) : QWidget(parent) {
  setObjectName("livePlots");
  m_group.setParent(this);
  m_grid = new QWidget;
  m_layout = new QGridLayout(m_grid);
  m_layout->setContentsMargins(0, 0, 0, 0);
  m_layout->setSpacing(space::kHalf);
  m_scroll = new QScrollArea;
  m_scroll->setWidget(m_grid);
  m_scroll->setWidgetResizable(true);
  m_scroll->setFrameShape(QFrame::NoFrame);
  m_scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  buildBar();
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(space::kHalf);
  column->addWidget(m_bar);
  column->addWidget(m_scroll, 1);

  const QString norm = QStringLiteral("‖ΔW‖/‖W₀‖");
  addPanel("loss", tr("Loss"), {}, {{.series = "train/loss", .label = tr("training"), .colour = 0},
                                    {.series = "eval/loss", .label = tr("evaluation"), .colour = 1, .points = true, .smoothable = false}});
  addPanel("norms", tr("Norms of the factors"), {},
           {{.series = "factors/norm_A", .label = QStringLiteral("‖A‖"), .colour = 0, .band = true, .smoothable = false},
            {.series = "factors/norm_B", .label = QStringLiteral("‖B‖"), .colour = 1, .band = true, .smoothable = false},
            {.series = "norm_A", .label = QStringLiteral("‖A‖ of the site"), .colour = 0, .smoothable = false, .ofSite = true},
            {.series = "norm_B", .label = QStringLiteral("‖B‖ of the site"), .colour = 1, .smoothable = false, .ofSite = true}});
  addPanel("balance", tr("Balance gap ‖AAᵀ − BᵀB‖"), {},
           {{.series = "factors/balance_gap", .label = tr("median"), .colour = 2, .band = true, .smoothable = false},
            {.series = "balance_gap", .label = tr("site"), .colour = 2, .smoothable = false, .ofSite = true}});
  addPanel("update", tr("Size of the update %1").arg(norm), {},
           {{.series = "factors/relative_update", .label = tr("median"), .colour = 3, .band = true, .smoothable = false},
            {.series = "relative_update", .label = tr("site"), .colour = 3, .smoothable = false, .ofSite = true}});
  addPanel("gradient", tr("Gradient norm"), {}, {{.series = "train/grad_norm", .label = tr("gradient norm"), .colour = 4}});
  addPanel("rate", tr("Learning rate"), {},
           {{.series = "train/learning_rate", .label = tr("learning rate"), .colour = 5, .smoothable = false}});
  addPanel("speed", tr("Throughput"), tr("tokens/s"),
           {{.series = "train/tokens_per_second", .label = tr("tokens per second"), .colour = 2}});
  addPanel("memory", tr("Memory"), tr("GB"),
           {{.series = "memory/resident", .label = tr("resident"), .colour = 0, .smoothable = false, .scale = 1e-9},
            {.series = "memory/peak", .label = tr("peak"), .colour = 1, .smoothable = false, .scale = 1e-9},
            {.series = "memory/device", .label = tr("device"), .colour = 2, .smoothable = false, .scale = 1e-9}});
  addPanel("metrics", tr("Evaluation metrics"), {}, {});
  plot("norms")->setEmptyText(tr("This run has no factors, or has not measured them yet."));
  plot("balance")->setEmptyText(tr("This run has no factors, or has not measured them yet."));
  plot("metrics")->setEmptyText(tr("Appears with the first evaluation of a task that has metrics."));
  connect(&Theme::instance(), &Theme::changed, this, &LivePlots::refill);
  arrange();
}

void LivePlots::buildBar() {
  m_bar = new QWidget;
  auto* row = new QHBoxLayout(m_bar);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(space::kUnit);
  const auto caption = [row](const QString& text, QWidget* of) {
    auto* label = new QLabel(text);
    makeCaption(label);
    label->setBuddy(of);
    row->addWidget(label);
    row->addWidget(of);
  };
  m_axis = new QComboBox;
  m_axis->setObjectName("xAxis");
  m_axis->setAccessibleName(tr("Horizontal axis"));
  for (auto axis : {XAxis::Step, XAxis::Epoch, XAxis::Tokens, XAxis::Time}) m_axis->addItem(xAxisTitle(axis), static_cast<int>(axis));
  caption(tr("Across"), m_axis);
  m_siteBox = new QComboBox;
  m_siteBox->setObjectName("siteBox");
  m_siteBox->setAccessibleName(tr("Site"));
  m_siteBox->setToolTip(tr("A single matrix drawn dashed over the median and the 10–90% band of all"));
  m_siteBox->setMinimumWidth(220);
  m_siteBox->setMaximumWidth(360);
  caption(tr("Site"), m_siteBox);
  m_smoothing = new QSlider(Qt::Horizontal);
  m_smoothing->setObjectName("smoothing");
  m_smoothing->setAccessibleName(tr("Smoothing"));
  m_smoothing->setToolTip(tr("Smooths over all points; the raw curve stays behind. The learning rate is never smoothed."));
  m_smoothing->setRange(0, kSmoothingSteps);
  m_smoothing->setFixedWidth(120);
  caption(tr("Smoothing"), m_smoothing);
  m_smoothingValue = new QLabel;
  m_smoothingValue->setFont(Theme::tabular(Theme::instance().smallFont()));
  m_smoothingValue->setFixedWidth(40);
  row->addWidget(m_smoothingValue);
  const auto button = [row](const QString& name, const QString& iconName, const QString& text, const QString& tip, bool checkable) {
    auto* made = new QToolButton;
    made->setObjectName(name);
    if (!iconName.isEmpty()) {
      made->setIcon(icon(iconName));
      QObject::connect(&Theme::instance(), &Theme::changed, made, [made, iconName] { made->setIcon(icon(iconName)); });
    } else {
      made->setText(text);
    }
    made->setToolTip(tip);
    made->setAccessibleName(tip);
    made->setCheckable(checkable);
    makeFlat(made);
    row->addWidget(made);
    return made;
  };
  m_log = button("logY", {}, tr("log y"), tr("Logarithmic y axes"), true);
  m_clip = button("clip", {}, tr("clip"), tr("Leave outliers out of view; each plot counts them"), true);
  m_clip->setChecked(true);
  m_back = button("zoomBack", "left", {}, tr("Zoom back"), false);
  m_forward = button("zoomForward", "right", {}, tr("Zoom forward"), false);
  auto* fit = button("fit", {}, tr("fit"), tr("Show everything"), false);
  row->addStretch(1);
  m_cursor = new QLabel;
  m_cursor->setObjectName("cursorReadout");
  m_cursor->setFont(Theme::tabular(Theme::instance().smallFont()));
  row->addWidget(m_cursor);

  connect(m_axis, &QComboBox::activated, this, [this](int at) {
    const auto axis = static_cast<XAxis>(m_axis->itemData(at).toInt());
    for (auto& panel : m_panels) panel.plot->setXAxis(axis);
    fitAll();
  });
  connect(m_siteBox, &QComboBox::activated, this, [this](int at) { setSite(m_siteBox->itemData(at).toString()); });
  connect(m_smoothing, &QSlider::valueChanged, this, [this](int position) {
    const double weight = smoothingWeight(position);
    m_smoothingValue->setText(weight > 0 ? QLocale().toString(weight, 'f', weight >= 0.99 ? 3 : 2) : tr("off"));
    for (auto& panel : m_panels) panel.plot->setSmoothing(weight);
  });
  connect(m_log, &QToolButton::toggled, this, [this](bool on) {
    for (auto& panel : m_panels) panel.plot->setLogY(on);
  });
  connect(m_clip, &QToolButton::toggled, this, [this](bool on) {
    for (auto& panel : m_panels) panel.plot->setClipOutliers(on);
  });
  connect(m_back, &QToolButton::clicked, this, &LivePlots::zoomBack);
  connect(m_forward, &QToolButton::clicked, this, &LivePlots::zoomForward);
  connect(fit, &QToolButton::clicked, this, &LivePlots::fitAll);
  m_smoothing->setValue(20);
}

void LivePlots::addPanel(const QString& id, const QString& title, const QString& unit, std::vector<Curve> curves) {
  Panel panel;
  panel.id = id;
  panel.curves = std::move(curves);
  panel.plot = new Plot;
  panel.plot->setObjectName("plot:" + id);
  panel.plot->setTitle(title, unit);
  panel.plot->setEmptyText(tr("No points yet."));
  panel.plot->setGroup(&m_group);
  panel.plot->setFollow(true);
  panel.plot->setClipOutliers(m_clip->isChecked());
  panel.plot->setSmoothing(smoothingWeight(m_smoothing->value()));
  panel.plot->setShowLegend(panel.curves.size() != 1);
  panel.plot->setMinimumHeight(kRowHeight);
  connect(panel.plot, &Plot::cursorMoved, this, &LivePlots::readCursor);
  connect(panel.plot, &Plot::zoomHistoryChanged, this, [this, plot = panel.plot] {
    m_lastZoomed = plot;
    m_back->setEnabled(std::any_of(m_panels.begin(), m_panels.end(), [](const Panel& p) { return p.plot->canZoomBack(); }));
    m_forward->setEnabled(std::any_of(m_panels.begin(), m_panels.end(), [](const Panel& p) { return p.plot->canZoomForward(); }));
  });
  m_panels.push_back(std::move(panel));
}

Plot* LivePlots::plot(const QString& id) const {
  for (const auto& panel : m_panels) {
    if (panel.id == id) return panel.plot;
  }
  return nullptr;
}

QStringList LivePlots::plotIds() const {
  QStringList ids;
  for (const auto& panel : m_panels) ids << panel.id;
  return ids;
}

// Loss takes two by two at the top left; the others fill the cells around it in order.
void LivePlots::arrange() {
  const int columns = width() >= kFourColumns ? 4 : 3;
  if (columns == m_columns) return;
  m_columns = columns;
  for (auto& panel : m_panels) m_layout->removeWidget(panel.plot);
  m_layout->addWidget(m_panels.front().plot, 0, 0, 2, 2);
  int cell = 0;
  const auto taken = [columns](int at) { return at / columns < 2 && at % columns < 2; };
  for (size_t i = 1; i < m_panels.size(); ++i) {
    while (taken(cell)) ++cell;
    m_layout->addWidget(m_panels[i].plot, cell / columns, cell % columns);
    ++cell;
  }
  for (int c = 0; c < 4; ++c) m_layout->setColumnStretch(c, c < columns ? 1 : 0);
  for (int r = 0; r < 6; ++r) m_layout->setRowStretch(r, r <= (cell - 1) / columns ? 1 : 0);
}

void LivePlots::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  arrange();
}

QString LivePlots::seriesName(const Curve& curve) const {
  return curve.ofSite ? QStringLiteral("site/%1/%2").arg(m_site, curve.series) : curve.series;
}

CurveStyle LivePlots::style(const Curve& curve) const {
  CurveStyle style;
  style.colour = categoryColour(curve.colour);
  style.points = curve.points;
  style.smoothable = curve.smoothable;
  style.order = curve.points || curve.ofSite ? 1 : 0;
  if (curve.ofSite) style.dash = Qt::DashLine;
  return style;
}

CurvePoints LivePlots::points(const Curve& curve, size_t from) const {
  CurvePoints result;
  const auto name = seriesName(curve).toStdString();
  const auto* series = m_history->series(name);
  if (!series || from >= series->values.size()) return result;
  const auto* low = curve.band ? m_history->series(name + "/q10") : nullptr;
  const auto* high = curve.band ? m_history->series(name + "/q90") : nullptr;
  // The band is drawn only where it was measured at the very same ticks.
  const bool band = low && high && low->ticks.size() == series->ticks.size() && high->ticks.size() == series->ticks.size();
  const size_t count = series->values.size() - from;
  for (auto* column : {&result.step, &result.epoch, &result.tokens, &result.seconds, &result.y}) column->reserve(count);
  const auto& clock = m_history->clock();
  for (size_t i = from; i < series->values.size(); ++i) {
    const auto& tick = clock[series->ticks[i]];
    result.step.push_back(tick.step);
    result.epoch.push_back(tick.epoch);
    result.tokens.push_back(tick.tokens);
    result.seconds.push_back(tick.seconds);
    result.y.push_back(series->values[i] * curve.scale);
    if (band) {
      result.lower.push_back(low->values[i] * curve.scale);
      result.upper.push_back(high->values[i] * curve.scale);
    }
  }
  return result;
}

void LivePlots::setHistory(const RunHistory* history) {
  m_history = history;
  m_marksShown = 0;
  const QSignalBlocker quiet(m_siteBox);
  m_siteBox->clear();
  m_siteBox->addItem(tr("Median of all, 10–90% band"), QString());
  if (history) {
    for (const auto& site : history->sites()) m_siteBox->addItem(QString::fromStdString(site.name), QString::fromStdString(site.name));
  }
  const int at = m_siteBox->findData(m_site);
  if (at < 0) m_site.clear();
  m_siteBox->setCurrentIndex(std::max(0, at));
  m_siteBox->setEnabled(m_siteBox->count() > 1);
  refill();
  fitAll();
}

void LivePlots::addMetricCurves() {
  auto& panel = m_panels.back();
  for (const auto& name : m_history->seriesNames()) {
    const auto series = QString::fromStdString(name);
    if (!series.startsWith("eval/") || series == "eval/loss") continue;
    const bool known = std::any_of(panel.curves.begin(), panel.curves.end(), [&](const Curve& c) { return c.series == series; });
    if (known) continue;
    Curve curve;
    curve.series = series;
    curve.label = series.mid(5);
    curve.colour = static_cast<int>(panel.curves.size());
    curve.points = true;
    curve.smoothable = false;
    panel.curves.push_back(std::move(curve));
  }
  // One curve is named by the title, several by labels of their own.
  panel.plot->setTitle(panel.curves.size() == 1 ? tr("Evaluation: %1").arg(panel.curves.front().label) : tr("Evaluation metrics"));
}

void LivePlots::refill() {
  m_panels.back().curves.clear();
  m_rewinds = m_history ? m_history->rewinds() : 0;
  for (auto& panel : m_panels) refillPanel(panel);
  if (m_history) advance();
  showMarks();
}

void LivePlots::refillPanel(Panel& panel) {
  panel.plot->clearCurves();
  for (auto& curve : panel.curves) curve.drawn = 0;
}

void LivePlots::extend(Panel& panel) {
  for (auto& curve : panel.curves) {
    if (curve.ofSite && m_site.isEmpty()) continue;
    CurvePoints fresh = points(curve, curve.drawn);
    if (fresh.y.empty()) continue;
    const QString id = curve.ofSite ? "site/" + curve.series : curve.series;
    if (curve.drawn == 0) {
      curve.drawn = fresh.y.size();
      panel.plot->setCurve(id, curve.label, style(curve), std::move(fresh));
    } else {
      curve.drawn += fresh.y.size();
      panel.plot->appendCurve(id, fresh);
    }
  }
}

void LivePlots::advance() {
  if (!m_history) return;
  if (m_history->rewinds() != m_rewinds) {
    m_rewinds = m_history->rewinds();
    for (auto& panel : m_panels) refillPanel(panel);
  }
  if (m_siteBox->count() - 1 != static_cast<int>(m_history->sites().size())) {
    setHistory(m_history);  // the run has just told its sites
    return;
  }
  addMetricCurves();
  for (auto& panel : m_panels) extend(panel);
  if (m_history->marks().size() != m_marksShown) showMarks();
}

void LivePlots::showMarks() {
  std::vector<PlotMark> marks;
  if (m_history) {
    const auto& clock = m_history->clock();
    for (const auto& mark : m_history->marks()) {
      PlotMark made;
      made.step = static_cast<double>(mark.step);
      const auto at = std::lower_bound(clock.begin(), clock.end(), made.step,
                                       [](const ClockTick& tick, double step) { return tick.step < step; });
      if (!clock.empty()) {
        const auto& tick = at == clock.end() ? clock.back() : *at;
        made.epoch = tick.epoch;
        made.tokens = tick.tokens;
        made.seconds = tick.seconds;
      }
      made.text = QString::fromStdString(mark.text);
      made.colour = mark.kind == HistoryMark::Kind::Change   ? ui::palette().warning
                    : mark.kind == HistoryMark::Kind::Resume ? ui::palette().info
                                                             : ui::palette().textMuted;
      marks.push_back(std::move(made));
    }
    m_marksShown = m_history->marks().size();
  }
  for (auto& panel : m_panels) panel.plot->setMarks(marks);
}

void LivePlots::setSite(const QString& site) {
  m_site = site;
  const QSignalBlocker quiet(m_siteBox);
  m_siteBox->setCurrentIndex(std::max(0, m_siteBox->findData(site)));
  for (auto& panel : m_panels) {
    for (auto& curve : panel.curves) {
      if (!curve.ofSite) continue;
      panel.plot->removeCurve("site/" + curve.series);
      curve.drawn = 0;
    }
  }
  advance();
}

void LivePlots::fitAll() {
  for (auto& panel : m_panels) {
    panel.plot->fit();
    panel.plot->setFollow(true);
  }
}

// Every plot has its own history; the keys and buttons mean the plot that has the focus, else the one zoomed last, else
// the first that can.
Plot* LivePlots::zoomTarget(bool (Plot::*can)() const) const {
  Plot* first = nullptr;
  for (const auto& panel : m_panels) {
    if (!(panel.plot->*can)()) continue;
    if (panel.plot->isAncestorOf(QApplication::focusWidget())) return panel.plot;
    if (!first || panel.plot == m_lastZoomed) first = panel.plot;
  }
  return first;
}

void LivePlots::zoomBack() {
  if (Plot* target = zoomTarget(&Plot::canZoomBack)) target->zoomBack();
}

void LivePlots::zoomForward() {
  if (Plot* target = zoomTarget(&Plot::canZoomForward)) target->zoomForward();
}

// The place of the one cursor on every axis, whatever the plots show across.
void LivePlots::readCursor(double x, bool visible) {
  if (!visible || !m_history || m_history->clock().empty()) {
    m_cursor->clear();
    Q_EMIT cursorAt({});
    return;
  }
  const auto axis = static_cast<XAxis>(m_axis->currentData().toInt());
  const auto value = [axis](const ClockTick& tick) {
    return axis == XAxis::Epoch ? tick.epoch : axis == XAxis::Tokens ? tick.tokens : axis == XAxis::Time ? tick.seconds : tick.step;
  };
  const auto& clock = m_history->clock();
  auto at = std::lower_bound(clock.begin(), clock.end(), x, [&](const ClockTick& tick, double v) { return value(tick) < v; });
  if (at == clock.end()) --at;
  const QString text = tr("step %1 · epoch %2 · %3 tokens · %4")
                           .arg(formatInteger(qint64(at->step)), formatNumber(at->epoch, 3), formatCompact(at->tokens),
                                formatDuration(at->seconds));
  m_cursor->setText(text);
  Q_EMIT cursorAt(text);
}

QJsonObject LivePlots::saveState() const {
  return {{"axis", m_axis->currentData().toInt()}, {"smoothing", m_smoothing->value()},
          {"log", m_log->isChecked()},             {"clip", m_clip->isChecked()}};
}

void LivePlots::restoreState(const QJsonObject& state) {
  m_smoothing->setValue(state.value("smoothing").toInt(m_smoothing->value()));
  m_log->setChecked(state.value("log").toBool(false));
  m_clip->setChecked(state.value("clip").toBool(true));
  const int at = m_axis->findData(state.value("axis").toInt());
  if (at >= 0) {
    m_axis->setCurrentIndex(at);
    for (auto& panel : m_panels) panel.plot->setXAxis(static_cast<XAxis>(m_axis->itemData(at).toInt()));
  }
}

}  // namespace rankscope::ui

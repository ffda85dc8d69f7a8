#include "ui/live/live_plots.h"

#include <QApplication>
#include <QGridLayout>
#include <QLabel>
#include <QScrollArea>
#include <QSignalBlocker>
#include <QSlider>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "core/config/task_heads.h"
#include "ui/shell/work_unit.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kFourColumns = 1000;  // px from which the small plots stand in four columns
constexpr int kRowHeight = 144;

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
  addPanel("intruders", tr("Intruder dimensions"), {},
           {{.series = "spectrum/intruders", .label = tr("all matrices"), .colour = 4, .points = true, .smoothable = false},
            {.series = "intruders", .label = tr("site"), .colour = 4, .points = true, .smoothable = false, .ofSite = true}});
  addPanel("effective_rank", tr("Effective rank of ΔW"), {},
           {{.series = "spectrum/effective_rank", .label = tr("median"), .colour = 5, .band = true, .smoothable = false},
            {.series = "effective_rank", .label = tr("site"), .colour = 5, .smoothable = false, .ofSite = true}});
  addPanel("gradient", tr("Gradient norm"), {}, {{.series = "train/grad_norm", .label = tr("gradient norm"), .colour = 4}});
  addPanel("rate", tr("Learning rate"), {},
           {{.series = "train/learning_rate", .label = tr("learning rate"), .colour = 5, .smoothable = false}});
  addPanel("speed", tr("Throughput"), {}, {{.label = tr("throughput"), .colour = 2}});
  addPanel("memory", tr("Memory"), tr("GB"),
           {{.series = "memory/resident", .label = tr("resident"), .colour = 0, .smoothable = false, .scale = 1e-9},
            {.series = "memory/peak", .label = tr("peak"), .colour = 1, .smoothable = false, .scale = 1e-9},
            {.series = "memory/device", .label = tr("device"), .colour = 2, .smoothable = false, .scale = 1e-9}});
  addPanel("metrics", tr("Evaluation metrics"), {}, {});
  plot("norms")->setEmptyText(tr("This run has no factors, or has not measured them yet."));
  plot("balance")->setEmptyText(tr("This run has no factors, or has not measured them yet."));
  const QString unwatched = tr("This run does not watch its spectrum. See train.spectrum, or compute it in the Spectrum view.");
  plot("intruders")->setEmptyText(unwatched);
  plot("effective_rank")->setEmptyText(unwatched);
  plot("metrics")->setEmptyText(tr("Appears with the first evaluation of a task that has metrics."));
  connect(&Theme::instance(), &Theme::changed, this, &LivePlots::refill);
  takeUnit();
  arrange();
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
  panel.plot->setSmoothing(smoothingWeight());
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

void LivePlots::takeUnit() {
  const std::string unit = m_history && m_history->start() ? m_history->start()->unit : kUsualUnit;
  if (unit == m_unit) return;
  m_unit = unit;
  m_axis->setItemText(m_axis->findData(static_cast<int>(XAxis::Tokens)), unitTitle(unit));
  for (auto& panel : m_panels) {
    panel.plot->setWorkTitle(unitTitle(unit));
    if (panel.id != "speed") continue;
    panel.plot->setTitle(tr("Throughput"), speedUnit(unit));
    panel.curves.front().series = QString::fromStdString(speedSeries(unit));
    refillPanel(panel);
  }
}

void LivePlots::refill() {
  takeUnit();
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
  takeUnit();
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

}  // namespace rankscope::ui

// The bar above Live's plots: axis, site, smoothing, logarithms, zoom; the cursor's readout; and what of it is remembered.
#include <QApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QSlider>
#include <QToolButton>
#include <algorithm>
#include <cmath>

#include "ui/live/live_plots.h"
#include "ui/shell/format.h"
#include "ui/shell/work_unit.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kSmoothingSteps = 100;

}  // namespace

// The slider's way to the weight: fine near 1, where it matters (0.9, 0.99, 0.999).
double LivePlots::smoothingWeight() const {
  const int position = m_smoothing->value();
  return position <= 0 ? 0 : 1 - std::pow(10.0, -3.0 * position / kSmoothingSteps);
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
  connect(m_smoothing, &QSlider::valueChanged, this, [this] {
    const double weight = smoothingWeight();
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
  const QString text = tr("step %1 · epoch %2 · %3 · %4")
                           .arg(formatInteger(qint64(at->step)), formatNumber(at->epoch, 3), unitsText(m_unit, at->tokens),
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

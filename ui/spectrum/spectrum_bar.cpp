#include "ui/spectrum/spectrum_bar.h"

#include <QComboBox>
#include <QDoubleSpinBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSlider>
#include <QSpinBox>
#include <algorithm>
#include <cmath>

#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr double kDefaultEps = 0.5;
constexpr int kDefaultK = 10;

QComboBox* choiceOf(const char* name, const QString& title, const QStringList& items) {
  auto* box = new QComboBox;
  box->setObjectName(name);
  box->setAccessibleName(title);
  box->addItems(items);
  return box;
}

QSlider* sliderOf(const char* name, const QString& title, int low, int high, int value) {
  auto* slider = new QSlider(Qt::Horizontal);
  slider->setObjectName(name);
  slider->setAccessibleName(title);
  slider->setRange(low, high);
  slider->setValue(value);
  slider->setMinimumWidth(90);
  slider->setMaximumWidth(160);
  return slider;
}

}  // namespace

SpectrumBar::SpectrumBar(QWidget* parent) : QWidget(parent), m_wantedK(kDefaultK) {
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(space::kUnit);
  const auto captioned = [row](const QString& text, QWidget* of) {
    auto* label = new QLabel(text);
    makeCaption(label);
    label->setBuddy(of);
    row->addWidget(label);
    row->addWidget(of);
    return label;
  };
  m_measure = new QComboBox;
  m_measure->setObjectName("measure");
  m_measure->setAccessibleName(tr("Colour of the grid"));
  for (const SpectrumMeasure measure : spectrumMeasures()) m_measure->addItem(measureTitle(measure), static_cast<int>(measure));
  captioned(tr("Colour by"), m_measure);
  m_shown = choiceOf("shown", tr("Run in the grid"), {tr("This run"), tr("Other run"), tr("Difference")});
  m_shownTitle = captioned(tr("of"), m_shown);

  m_eps = new QDoubleSpinBox;
  m_eps->setObjectName("eps");
  m_eps->setAccessibleName(tr("Threshold ε"));
  m_eps->setToolTip(tr("A leading vector of W counts as an intruder when its largest |cos| with any vector of W₀ is below ε"));
  m_eps->setRange(0, 1);
  m_eps->setDecimals(2);
  m_eps->setSingleStep(0.05);
  m_eps->setValue(kDefaultEps);
  m_epsSlider = sliderOf("epsSlider", tr("Threshold ε, slider"), 0, 100, static_cast<int>(kDefaultEps * 100));
  captioned(QStringLiteral("ε"), m_eps);
  row->addWidget(m_epsSlider, 1);
  m_k = new QSpinBox;
  m_k->setObjectName("k");
  m_k->setAccessibleName(tr("Leading vectors k"));
  m_k->setToolTip(tr("Intruders are counted among this many leading vectors of W"));
  m_k->setRange(1, 64);
  m_k->setValue(kDefaultK);
  m_kSlider = sliderOf("kSlider", tr("Leading vectors k, slider"), 1, 64, kDefaultK);
  captioned(QStringLiteral("k"), m_k);
  row->addWidget(m_kSlider, 1);
  m_side = choiceOf("side", tr("Side of the singular vectors"), {tr("left vectors"), tr("right vectors")});
  m_side->setToolTip(tr("Left vectors lie on the output side of a matrix, as in the paper; right ones on its input side"));
  row->addWidget(m_side);
  row->addStretch(1);
  setComparing(false);

  for (QComboBox* box : {m_measure, m_shown, m_side}) connect(box, &QComboBox::activated, this, &SpectrumBar::changed);
  connect(m_eps, &QDoubleSpinBox::valueChanged, this, [this](double value) {
    const QSignalBlocker quiet(m_epsSlider);
    m_epsSlider->setValue(static_cast<int>(std::lround(value * 100)));
    Q_EMIT changed();
  });
  connect(m_epsSlider, &QSlider::valueChanged, this, [this](int value) { m_eps->setValue(value / 100.0); });
  connect(m_k, &QSpinBox::valueChanged, this, [this](int value) {
    const QSignalBlocker quiet(m_kSlider);
    m_kSlider->setValue(value);
    m_wantedK = value;
    Q_EMIT changed();
  });
  connect(m_kSlider, &QSlider::valueChanged, m_k, &QSpinBox::setValue);
}

SpectrumMeasure SpectrumBar::measure() const { return static_cast<SpectrumMeasure>(m_measure->currentData().toInt()); }

IntruderRule SpectrumBar::rule() const { return {m_eps->value(), m_k->value(), m_side->currentIndex() == 1}; }

SpectrumBar::Shown SpectrumBar::shown() const {
  return m_shown->isHidden() ? Shown::This : static_cast<Shown>(m_shown->currentIndex());
}

void SpectrumBar::setComparing(bool on) {
  m_shown->setVisible(on);
  m_shownTitle->setVisible(on);
}

void SpectrumBar::setMostVectors(int64_t count) {
  const int most = static_cast<int>(std::max<int64_t>(1, count)), wanted = m_wantedK;
  const QSignalBlocker quiet(m_k), quietToo(m_kSlider);
  m_k->setMaximum(most);
  m_kSlider->setMaximum(most);
  m_k->setValue(std::min(wanted, most));
  m_kSlider->setValue(m_k->value());
}

QJsonObject SpectrumBar::saveState() const {
  return {{"measure", m_measure->currentIndex()}, {"eps", m_eps->value()}, {"k", m_wantedK}, {"side", m_side->currentIndex()},
          {"shown", m_shown->currentIndex()}};
}

void SpectrumBar::restoreState(const QJsonObject& state) {
  const auto restore = [&](QComboBox* box, const char* key) {
    box->setCurrentIndex(std::clamp(state.value(QLatin1String(key)).toInt(), 0, box->count() - 1));
  };
  restore(m_measure, "measure");
  restore(m_side, "side");
  restore(m_shown, "shown");
  m_eps->setValue(state.value("eps").toDouble(kDefaultEps));
  m_k->setValue(state.value("k").toInt(kDefaultK));
  m_wantedK = state.value("k").toInt(kDefaultK);
}

}  // namespace rankscope::ui

#include "ui/newrun/rank_slider.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QSignalBlocker>
#include <cmath>

#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kPerOctave = 8;  // slider positions between two powers of two
constexpr qint64 kUnknownEnd = 256;
constexpr int kRoomForEnd = 260;

}  // namespace

RankSlider::RankSlider(QWidget* parent) : QWidget(parent) {
  m_slider = new QSlider(Qt::Horizontal);
  m_slider->setObjectName("rankSlider");
  m_slider->setAccessibleName(tr("Rank, logarithmic"));
  m_slider->setTickPosition(QSlider::TicksBelow);
  m_slider->setTickInterval(kPerOctave);
  m_slider->setSingleStep(kPerOctave);
  m_slider->setPageStep(2 * kPerOctave);
  m_edit = new QLineEdit;
  m_edit->setObjectName("rankEdit");
  m_edit->setAccessibleName(tr("Rank"));
  m_edit->setAlignment(Qt::AlignRight);
  m_edit->setFixedWidth(space::scaled(72));
  m_edit->setFont(Theme::tabular(m_edit->font()));
  m_end = new QLabel;
  makeCaption(m_end);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(space::kUnit);
  row->addWidget(m_edit);
  row->addWidget(m_slider, 1);
  row->addWidget(m_end);
  setFocusProxy(m_edit);
  connect(m_slider, &QSlider::valueChanged, this, &RankSlider::slid);
  connect(m_edit, &QLineEdit::editingFinished, this, &RankSlider::typed);
  setFullRank(0);
  showRank();
}

// In a narrow page the slider has the room, and tells its end in its tip.
void RankSlider::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  m_end->setVisible(width() >= space::scaled(kRoomForEnd));
}

int RankSlider::positionOf(qint64 rank) {
  return static_cast<int>(std::lround(std::log2(static_cast<double>(std::max<qint64>(rank, 1))) * kPerOctave));
}

void RankSlider::setFullRank(qint64 fullRank) {
  m_fullRank = fullRank;
  const qint64 end = fullRank > 0 ? fullRank : kUnknownEnd;
  const QSignalBlocker quiet(m_slider);
  m_slider->setRange(0, positionOf(end));
  m_end->setText(fullRank > 0 ? tr("of %1 (full)").arg(QLocale().toString(fullRank)) : QString());
  m_slider->setToolTip(m_end->text());
  showRank();
}

void RankSlider::setRank(qint64 rank) {
  m_rank = rank;
  showRank();
}

void RankSlider::showRank() {
  const QSignalBlocker quiet(m_slider);
  m_slider->setValue(positionOf(m_rank));
  if (!m_edit->hasFocus() || !m_edit->isModified()) m_edit->setText(QString::number(m_rank));
}

void RankSlider::slid(int position) {
  // Stops at powers of two; the very end is full rank, whatever number that is.
  const qint64 end = m_fullRank > 0 ? m_fullRank : kUnknownEnd;
  qint64 rank = qint64(1) << ((position + kPerOctave / 2) / kPerOctave);
  if (position >= m_slider->maximum() || rank > end) rank = end;
  const bool changed = rank != m_rank;
  m_rank = rank;
  m_edit->setModified(false);
  m_edit->setText(QString::number(m_rank));
  if (changed) Q_EMIT rankChanged(m_rank);
}

void RankSlider::typed() {
  if (!m_edit->isModified()) return;
  m_edit->setModified(false);
  bool ok = false;
  const qint64 rank = QLocale().toLongLong(m_edit->text().trimmed(), &ok);
  if (!ok) {
    Q_EMIT textRejected(m_edit->text());
    return;
  }
  if (rank == m_rank) return;
  m_rank = rank;
  showRank();
  Q_EMIT rankChanged(m_rank);
}

}  // namespace rankscope::ui

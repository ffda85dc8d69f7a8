#include "ui/shell/toast.h"

#include <QEvent>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QPushButton>
#include <QToolButton>

#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kStays = 12000;  // ms
constexpr int kWidth = 420;

}  // namespace

Toast::Toast(QWidget* over) : QFrame(over), m_over(over) {
  setObjectName(QStringLiteral("toast"));
  setFixedWidth(space::scaled(kWidth));
  m_mark = new QLabel;
  m_title = new QLabel;
  m_title->setObjectName(QStringLiteral("toastTitle"));
  m_title->setTextFormat(Qt::PlainText);
  m_title->setWordWrap(true);
  QFont bold = m_title->font();
  bold.setWeight(QFont::DemiBold);
  m_title->setFont(bold);
  m_text = new QLabel;
  m_text->setObjectName(QStringLiteral("toastText"));
  m_text->setTextFormat(Qt::PlainText);
  m_text->setWordWrap(true);
  makeCaption(m_text);
  auto* close = new QToolButton;
  close->setObjectName(QStringLiteral("closeToast"));
  close->setIcon(icon(QStringLiteral("cancel")));
  close->setAccessibleName(tr("Close notice"));
  close->setToolTip(close->accessibleName());
  m_actions = new QHBoxLayout;
  m_actions->setSpacing(space::kHalf);
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(space::kWide, space::kUnit + 4, space::kUnit, space::kUnit + 4);
  grid->setHorizontalSpacing(space::kUnit);
  grid->setVerticalSpacing(space::kHalf);
  grid->setColumnStretch(1, 1);
  grid->addWidget(m_mark, 0, 0, Qt::AlignTop);
  grid->addWidget(m_title, 0, 1);
  grid->addWidget(close, 0, 2, Qt::AlignTop);
  grid->addWidget(m_text, 1, 1, 1, 2);
  grid->addLayout(m_actions, 2, 1, 1, 2);
  m_leave.setSingleShot(true);
  m_leave.setInterval(kStays);
  connect(&m_leave, &QTimer::timeout, this, [this] {
    if (underMouse() || isAncestorOf(focusWidget()))
      m_leave.start();
    else
      hide();
  });
  connect(close, &QToolButton::clicked, this, &QWidget::hide);
  over->installEventFilter(this);
  hide();
}

void Toast::say(const QString& state, const QString& title, const QString& text, const std::vector<Action>& actions, bool stays) {
  m_mark->setPixmap(iconPixmap(stateIcon(state), stateColour(state), space::kIcon, devicePixelRatioF()));
  m_title->setText(title);
  m_text->setText(text);
  m_text->setVisible(!text.isEmpty());
  setAccessibleName(title + QStringLiteral(". ") + text);
  while (QLayoutItem* item = m_actions->takeAt(0)) {
    if (item->widget()) item->widget()->deleteLater();
    delete item;
  }
  for (const Action& action : actions) {
    auto* button = new QPushButton(action.text);
    connect(button, &QPushButton::clicked, this, [this, run = action.run] {
      hide();
      run();
    });
    m_actions->addWidget(button);
  }
  m_actions->addStretch(1);
  m_stays = stays;
  show();
  raise();
  place();
  if (stays)
    m_leave.stop();
  else
    m_leave.start();
}

QString Toast::text() const { return isVisible() ? m_title->text() + QLatin1Char('\n') + m_text->text() : QString(); }

void Toast::place() {
  layout()->activate();
  const int height = layout()->hasHeightForWidth() ? layout()->totalHeightForWidth(width()) : sizeHint().height();
  resize(width(), height);
  move(m_over->width() - width() - space::kWide, m_over->height() - height - space::kWide);
}

bool Toast::eventFilter(QObject* watched, QEvent* event) {
  if (watched == m_over && event->type() == QEvent::Resize && isVisible()) place();
  return QFrame::eventFilter(watched, event);
}

void Toast::enterEvent(QEnterEvent* event) {
  m_leave.stop();
  QFrame::enterEvent(event);
}

void Toast::leaveEvent(QEvent* event) {
  if (!m_stays) m_leave.start();
  QFrame::leaveEvent(event);
}

void Toast::keyPressEvent(QKeyEvent* event) {
  if (event->key() == Qt::Key_Escape)
    hide();
  else
    QFrame::keyPressEvent(event);
}

}  // namespace rankscope::ui

#include "ui/shell/facts.h"

#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QFormLayout>
#include <QGridLayout>
#include <QResizeEvent>
#include <QStyle>

namespace rankscope::ui {

void WrappedLabel::resizeEvent(QResizeEvent* event) {
  QLabel::resizeEvent(event);
  if (event->size().width() != event->oldSize().width()) updateGeometry();
}

QLabel* addFact(QFormLayout* form, const QString& name, const QString& value, const QString& tip) {
  if (value.isEmpty()) return nullptr;
  auto* label = new QLabel(name);
  makeCaption(label);
  auto* shown = new WrappedLabel(value);
  shown->setTextFormat(Qt::PlainText);
  shown->setTextInteractionFlags(Qt::TextSelectableByMouse);
  shown->setAccessibleName(name);
  shown->setToolTip(tip);
  form->addRow(label, shown);
  return shown;
}

FactGrid::FactGrid(int captionWidth) : m_layout(new QGridLayout), m_captionWidth(captionWidth) {
  m_layout->setHorizontalSpacing(space::kUnit);
  m_layout->setVerticalSpacing(space::kHalf);
  m_layout->setColumnStretch(1, 1);
}

FactGrid::Row FactGrid::add(const QString& caption, const QString& objectName) {
  const Row made{new QLabel(caption), new QLabel};
  makeCaption(made.caption);
  made.caption->setFixedWidth(space::scaled(m_captionWidth));
  made.value->setObjectName(objectName);
  made.value->setAccessibleName(caption);
  made.value->setFont(Theme::tabular(made.value->font()));
  made.value->setWordWrap(true);
  made.value->setTextFormat(Qt::PlainText);
  made.value->setTextInteractionFlags(Qt::TextSelectableByMouse);
  const int row = m_layout->rowCount();
  m_layout->addWidget(made.caption, row, 0, Qt::AlignTop);
  m_layout->addWidget(made.value, row, 1);
  return made;
}

void showNote(QLabel* label, const QString& text, bool problem) {
  label->setText(text);
  const QString role = problem ? QStringLiteral("error") : QStringLiteral("caption");
  if (label->property("role").toString() != role) {
    label->setProperty("role", role);
    label->style()->unpolish(label);
    label->style()->polish(label);
  }
  label->setVisible(!text.isEmpty());
}

QLabel* makeCommandLabel(const QString& objectName) {
  auto* label = new QLabel;
  label->setObjectName(objectName);
  label->setAccessibleName(QCoreApplication::translate("CommandLabel", "Command line"));
  label->setFont(Theme::instance().monoFont());
  label->setWordWrap(true);
  label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  makeCaption(label);
  return label;
}

}  // namespace rankscope::ui

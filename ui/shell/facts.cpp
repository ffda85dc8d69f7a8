#include "ui/shell/facts.h"

#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QFormLayout>
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

#include "ui/shell/facts.h"

#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QFormLayout>
#include <QLabel>

namespace rankscope::ui {

QLabel* addFact(QFormLayout* form, const QString& name, const QString& value, const QString& tip) {
  if (value.isEmpty()) return nullptr;
  auto* label = new QLabel(name);
  makeCaption(label);
  auto* shown = new QLabel(value);
  shown->setTextFormat(Qt::PlainText);
  shown->setWordWrap(true);
  shown->setTextInteractionFlags(Qt::TextSelectableByMouse);
  shown->setAccessibleName(name);
  shown->setToolTip(tip);
  form->addRow(label, shown);
  return shown;
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

#include "ui/library/dialog_form.h"

#include <QClipboard>
#include <QComboBox>
#include <QCoreApplication>
#include <QDialog>
#include <QDialogButtonBox>
#include <QFormLayout>
#include <QGuiApplication>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/config/option_spec.h"
#include "core/config/task_heads.h"
#include "ui/shell/facts.h"
#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

QString tr(const char* text) { return QCoreApplication::translate("DialogForm", text); }

QToolButton* iconButton(const char* iconName, const QString& tip) {
  auto* button = new QToolButton;
  button->setIcon(icon(QLatin1String(iconName)));
  button->setToolTip(tip);
  button->setAccessibleName(tip);
  return button;
}

}  // namespace

QVBoxLayout* dialogColumn(QDialog* dialog, const QString& objectName) {
  dialog->setObjectName(objectName);
  dialog->setMinimumWidth(space::scaled(640));
  auto* column = new QVBoxLayout(dialog);
  column->setContentsMargins(space::kPage, space::kWide, space::kPage, space::kWide);
  column->setSpacing(space::kUnit);
  return column;
}

QLabel* addExplanation(QVBoxLayout* column, const QString& text) {
  auto* label = new QLabel(text);
  label->setWordWrap(true);
  makeCaption(label);
  column->addWidget(label);
  return label;
}

QFormLayout* dialogForm() {
  auto* form = new QFormLayout;
  form->setHorizontalSpacing(space::kWide);
  form->setVerticalSpacing(space::kUnit);
  form->setLabelAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
  return form;
}

QLabel* addCaptioned(QFormLayout* form, const QString& text, QWidget* field, QWidget* buddy) {
  auto* label = new QLabel(text);
  makeCaption(label);
  label->setBuddy(buddy ? buddy : field);
  form->addRow(label, field);
  return label;
}

QLineEdit* namedLine(const char* objectName, const QString& accessibleName, const QString& placeholder) {
  auto* line = new QLineEdit;
  line->setObjectName(QLatin1String(objectName));
  line->setAccessibleName(accessibleName);
  line->setPlaceholderText(placeholder);
  return line;
}

QLabel* addNote(QFormLayout* form, const char* objectName) {
  auto* label = new WrappedLabel;
  label->setObjectName(QLatin1String(objectName));
  label->hide();
  form->addRow(QString(), label);
  return label;
}

QWidget* withPathButton(QLineEdit* line, const QString& tip, const std::function<QString()>& choose) {
  auto* both = new QWidget;
  auto* row = new QHBoxLayout(both);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(space::kHalf);
  QToolButton* button = iconButton("folder", tip);
  row->addWidget(line, 1);
  row->addWidget(button);
  QObject::connect(button, &QToolButton::clicked, line, [line, choose] {
    if (const QString chosen = choose(); !chosen.isEmpty()) line->setText(chosen);
  });
  return both;
}

QComboBox* taskBox(const char* objectName, const std::string& alike) {
  auto* box = new QComboBox;
  box->setObjectName(QLatin1String(objectName));
  box->setAccessibleName(tr("Task"));
  for (const OptionChoice& choice : findOption("data.task")->choices)
    if (alike.empty() || headForTask(choice.value) == headForTask(alike))
      box->addItem(QCoreApplication::translate("options", choice.title.c_str()), QString::fromStdString(choice.value));
  return box;
}

QComboBox* checkpointBox(const char* objectName, const std::vector<std::pair<qint64, bool>>& checkpoints) {
  auto* box = new QComboBox;
  box->setObjectName(QLatin1String(objectName));
  box->setAccessibleName(tr("Checkpoint"));
  box->addItem(tr("the last one"), QStringLiteral("last"));
  for (const auto& [step, best] : checkpoints)
    if (best) box->addItem(tr("the best one (step %1)").arg(formatInteger(step)), QStringLiteral("best"));
  for (const auto& [step, best] : checkpoints) box->addItem(tr("step %1").arg(formatInteger(step)), QString::number(step));
  return box;
}

QLabel* addCommand(QVBoxLayout* column, const char* objectName) {
  column->addSpacing(space::kHalf);
  auto* row = new QHBoxLayout;
  QLabel* command = makeCommandLabel(QLatin1String(objectName));
  QToolButton* copy = iconButton("copy", tr("Copy the command line"));
  row->addWidget(command, 1);
  row->addWidget(copy, 0, Qt::AlignTop);
  column->addLayout(row);
  QObject::connect(copy, &QToolButton::clicked, command, [command] { QGuiApplication::clipboard()->setText(command->text()); });
  return command;
}

QPushButton* addButtons(QVBoxLayout* column, QDialog* dialog, const char* okName, const QString& okText) {
  column->addStretch(1);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Ok | QDialogButtonBox::Cancel);
  QPushButton* ok = buttons->button(QDialogButtonBox::Ok);
  ok->setObjectName(QLatin1String(okName));
  ok->setText(okText);
  makePrimary(ok);
  column->addWidget(buttons);
  QObject::connect(buttons, &QDialogButtonBox::accepted, dialog, &QDialog::accept);
  QObject::connect(buttons, &QDialogButtonBox::rejected, dialog, &QDialog::reject);
  return ok;
}

}  // namespace rankscope::ui

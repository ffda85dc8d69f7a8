#include "ui/newrun/column_roles.h"

#include <QComboBox>
#include <QGridLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QToolButton>

#include "ui/newrun/run_draft.h"
#include "ui/shell/error_text.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kTitleWidth = 168;
const QString kPrefix = QStringLiteral("data.columns.");

}  // namespace

ColumnRoles::ColumnRoles(RunDraft* draft, QWidget* parent) : QWidget(parent), m_draft(draft) {
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(0, 0, 0, 0);
  grid->setHorizontalSpacing(space::kUnit);
  grid->setVerticalSpacing(0);  // hidden roles must not leave gaps
  grid->setColumnStretch(2, 1);
  grid->setColumnMinimumWidth(3, space::rowHeight());
  int row = 0;
  for (const auto& option : optionTable()) {
    const auto key = QString::fromStdString(option.key);
    if (!key.startsWith(kPrefix)) continue;
    Role role{key, key.mid(kPrefix.size()), new QLabel(optionTitle(option)), new QComboBox, new QLabel, new QLabel,
              new QToolButton};
    role.title->setFixedWidth(space::scaled(kTitleWidth));
    role.box->setContentsMargins(0, 1, 0, 1);
    role.title->setBuddy(role.box);
    role.box->setObjectName("role:" + role.role);
    role.box->setAccessibleName(optionTitle(option));
    role.box->setAccessibleDescription(optionHelp(option));
    role.box->setToolTip(optionHelp(option));
    role.box->setMinimumWidth(160);
    role.box->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    makeCaption(role.example);
    role.example->setTextFormat(Qt::PlainText);
    role.example->setMinimumWidth(40);
    role.example->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
    role.error->setWordWrap(true);
    role.error->setProperty("role", "error");
    makeFlat(role.revert);
    role.revert->setIcon(icon("undo"));
    role.revert->setAccessibleName(tr("Revert %1").arg(optionTitle(option)));
    grid->addWidget(role.title, row, 0);
    grid->addWidget(role.box, row, 1);
    grid->addWidget(role.example, row, 2);
    grid->addWidget(role.revert, row, 3);
    grid->addWidget(role.error, row + 1, 1, 1, 3);
    row += 2;
    connect(role.box, &QComboBox::activated, this, [this, box = role.box, key](int at) {
      m_draft->set(key, box->itemData(at).toString().toStdString());
    });
    connect(role.revert, &QToolButton::clicked, this, [this, key] { m_draft->revert(key); });
    m_roles.push_back(role);
  }
  connect(draft, &RunDraft::edited, this, &ColumnRoles::refresh);
  connect(draft, &RunDraft::issuesChanged, this, &ColumnRoles::refresh);
  connect(&Theme::instance(), &Theme::changed, this, &ColumnRoles::refresh);
  refresh();
}

void ColumnRoles::setColumns(const DataDetails& details) {
  m_details = details;
  refresh();
}

void ColumnRoles::setEffectiveRoles(const QHash<QString, QString>& roles) {
  m_details.guessedRoles = roles;
  refresh();
}

QComboBox* ColumnRoles::box(const QString& role) const {
  for (const auto& r : m_roles) {
    if (r.role == role) return r.box;
  }
  return nullptr;
}

void ColumnRoles::refresh() {
  for (auto& role : m_roles) {
    const auto mistakes = m_draft->issuesOf(role.key);
    const bool on = m_draft->applies(role.key) || !mistakes.empty();
    const QSignalBlocker quiet(role.box);
    const QString value = QString::fromStdString(m_draft->config().str(role.key.toStdString()));
    const QString guess = m_details.guessedRoles.value(role.role);
    role.box->clear();
    role.box->addItem(guess.isEmpty() ? tr("guessed: none") : tr("guessed: %1").arg(guess), QString());
    for (size_t i = 0; i < m_details.columns.size(); ++i) {
      const auto& name = m_details.columns[i].name;
      role.box->addItem(name.isEmpty() ? tr("column %1").arg(i + 1) : name,
                        name.isEmpty() ? QStringLiteral("#%1").arg(i + 1) : name);
    }
    if (!value.isEmpty() && role.box->findData(value) < 0) role.box->addItem(value, value);
    role.box->setCurrentIndex(std::max(0, role.box->findData(value)));

    QString example;
    const QString shown = value.isEmpty() ? guess : value;
    for (size_t i = 0; i < m_details.columns.size(); ++i) {
      const auto& column = m_details.columns[i];
      if (column.name == shown || QStringLiteral("#%1").arg(i + 1) == shown) example = column.example.simplified();
    }
    role.example->setText(example.isEmpty() ? QString() : QStringLiteral("“%1”").arg(example.left(160)));
    role.example->setToolTip(example);
    QStringList texts;
    for (const auto* issue : mistakes) texts << errorText(issue->error);
    role.error->setText(texts.join('\n'));
    makeInvalid(role.box, !texts.isEmpty());
    const bool changed = m_draft->isChanged(role.key);
    makeChanged(role.box, changed);
    role.revert->setIcon(icon("undo"));
    for (QWidget* part : {static_cast<QWidget*>(role.title), static_cast<QWidget*>(role.box),
                          static_cast<QWidget*>(role.example)}) {
      part->setVisible(on);
    }
    role.error->setVisible(on && !texts.isEmpty());
    role.revert->setVisible(on && changed);
  }
}

}  // namespace rankscope::ui

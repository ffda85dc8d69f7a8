#include "ui/runs/tag_dialog.h"

#include "ui/theme/theme.h"

#include <QCompleter>
#include <QDialogButtonBox>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QVBoxLayout>

namespace rankscope::ui {

TagDialog::TagDialog(const QStringList& known, const QHash<QString, int>& counts, int runs, QWidget* parent)
    : QDialog(parent), m_counts(counts), m_runs(runs) {
  setWindowTitle(tr("Tags of %n run(s)", nullptr, runs));
  resize(340, 420);
  auto* layout = new QVBoxLayout(this);
  m_input = new QLineEdit(this);
  m_input->setPlaceholderText(tr("New tag, then Return"));
  m_input->setAccessibleName(tr("New tag"));
  m_input->setCompleter(new QCompleter(known, m_input));
  m_input->completer()->setCaseSensitivity(Qt::CaseInsensitive);
  layout->addWidget(m_input);
  m_list = new QListWidget(this);
  m_list->setAccessibleName(tr("Tags"));
  m_list->setProperty("role", QStringLiteral("frame"));
  layout->addWidget(m_list, 1);
  for (const QString& tag : known) {
    auto* item = new QListWidgetItem(tag, m_list);
    const int count = counts.value(tag);
    item->setFlags(item->flags() | Qt::ItemIsUserCheckable);
    item->setCheckState(count == 0 ? Qt::Unchecked : count == runs ? Qt::Checked : Qt::PartiallyChecked);
  }
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Ok | QDialogButtonBox::Cancel, this);
  makePrimary(buttons->button(QDialogButtonBox::Ok));
  buttons->button(QDialogButtonBox::Ok)->setAutoDefault(false);
  layout->addWidget(buttons);
  connect(buttons, &QDialogButtonBox::accepted, this, [this] {
    addTyped();
    accept();
  });
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  connect(m_input, &QLineEdit::returnPressed, this, &TagDialog::addTyped);
  m_input->setFocus();
}

void TagDialog::addTyped() {
  for (QString tag : m_input->text().split(QLatin1Char(','), Qt::SkipEmptyParts)) {
    tag = tag.trimmed();
    if (tag.isEmpty()) continue;
    const auto found = m_list->findItems(tag, Qt::MatchFixedString);
    auto* item = found.isEmpty() ? new QListWidgetItem(tag) : found.first();
    item->setFlags(item->flags() | Qt::ItemIsUserCheckable);
    item->setCheckState(Qt::Checked);
    if (found.isEmpty()) m_list->insertItem(0, item);
  }
  m_input->clear();
}

QStringList TagDialog::toAdd() const {
  QStringList tags;
  for (int i = 0; i < m_list->count(); ++i)
    if (m_list->item(i)->checkState() == Qt::Checked && m_counts.value(m_list->item(i)->text()) < m_runs)
      tags << m_list->item(i)->text();
  return tags;
}

QStringList TagDialog::toRemove() const {
  QStringList tags;
  for (int i = 0; i < m_list->count(); ++i)
    if (m_list->item(i)->checkState() == Qt::Unchecked && m_counts.value(m_list->item(i)->text()) > 0)
      tags << m_list->item(i)->text();
  return tags;
}

}  // namespace rankscope::ui

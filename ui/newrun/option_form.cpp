#include "ui/newrun/option_form.h"

#include <QLabel>
#include <QToolButton>
#include <QVBoxLayout>

#include "ui/newrun/option_field.h"
#include "ui/newrun/run_draft.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {

OptionForm::OptionForm(RunDraft* draft, QWidget* parent) : QWidget(parent), m_draft(draft) {
  m_column = new QVBoxLayout(this);
  m_column->setContentsMargins(0, 0, 0, 0);
  m_column->setSpacing(0);
  m_empty = new QLabel;
  m_empty->setWordWrap(true);
  makeCaption(m_empty);
  m_empty->hide();
  m_column->addWidget(m_empty);
  connect(draft, &RunDraft::edited, this, &OptionForm::refresh);
  connect(draft, &RunDraft::issuesChanged, this, &OptionForm::refresh);
}

void OptionForm::clear() {
  for (auto& section : m_sections) {
    delete section.heading;
    qDeleteAll(section.fields);
    qDeleteAll(section.advanced);
    delete section.more;
  }
  m_sections.clear();
}

void OptionForm::addSection(const QString& title, const QStringList& keys, bool fold) {
  Section section;
  if (!title.isEmpty()) {
    auto* heading = new QLabel(title);
    makeHeading(heading);
    section.heading = heading;
    m_column->addWidget(heading);
  }
  const auto make = [this](const QString& key) {
    auto* field = new OptionField(m_draft, *findOption(key.toStdString()));
    connect(field, &OptionField::focused, this, &OptionForm::focused);
    return field;
  };
  QStringList advanced;
  for (const auto& key : keys) {
    if (fold && findOption(key.toStdString())->advanced) {
      advanced << key;
      continue;
    }
    section.fields.push_back(make(key));
    m_column->addWidget(section.fields.back());
  }
  if (!advanced.isEmpty()) {
    section.more = new QToolButton;
    section.more->setCheckable(true);
    section.more->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    section.more->setObjectName("more");
    makeFlat(section.more);
    m_column->addWidget(section.more);
    for (const auto& key : advanced) {
      section.advanced.push_back(make(key));
      m_column->addWidget(section.advanced.back());
    }
    const size_t at = m_sections.size();
    connect(section.more, &QToolButton::toggled, this, [this, at](bool on) {
      m_sections[at].open = on;
      refresh();
    });
  }
  m_sections.push_back(std::move(section));
}

void OptionForm::showGroups(const QStringList& groups, const QStringList& except) {
  clear();
  for (const auto& group : optionGroups()) {
    if (!groups.contains(QString::fromStdString(group.name))) continue;
    QStringList keys;
    for (const auto& option : optionTable()) {
      const auto key = QString::fromStdString(option.key);
      if (option.group == group.name && !except.contains(key)) keys << key;
    }
    addSection(groups.size() > 1 ? translatedOption(group.title) : QString(), keys, true);
  }
  refresh();
}

void OptionForm::showKeys(const QStringList& keys) {
  clear();
  addSection({}, keys, false);
  refresh();
}

void OptionForm::showAll() {
  clear();
  for (const auto& group : optionGroups()) {
    QStringList keys;
    for (const auto& option : optionTable()) {
      if (option.group == group.name) keys << QString::fromStdString(option.key);
    }
    addSection(translatedOption(group.title), keys, false);
  }
  refresh();
}

void OptionForm::setSearch(const QString& text) {
  m_searching = true;
  m_words = text.split(' ', Qt::SkipEmptyParts);
  refresh();
}

void OptionForm::setOnlyChanged(bool on) {
  m_onlyChanged = on;
  refresh();
}

void OptionForm::setEmptyText(const QString& text) { m_empty->setText(text); }

bool OptionForm::wanted(const OptionField* field) const {
  if (m_onlyChanged) return m_draft->isChanged(field->key());
  // A mistake is shown even where the option does not apply: that may be the mistake.
  if (!m_draft->applies(field->key()) && field->problem().isEmpty()) return false;
  return !m_searching || field->matches(m_words);
}

void OptionForm::refresh() {
  int shown = 0;
  setUpdatesEnabled(false);
  for (auto& section : m_sections) {
    int inSection = 0, folded = 0;
    for (auto* field : section.fields) {
      const bool on = wanted(field);
      if (on) field->refresh();
      field->setVisible(on);
      inSection += on ? 1 : 0;
    }
    for (auto* field : section.advanced) {
      const bool on = wanted(field);
      // What was changed or is wrong is never hidden.
      const bool open = on && (section.open || m_draft->isChanged(field->key()) || !field->problem().isEmpty());
      if (open) field->refresh();
      field->setVisible(open);
      folded += on && !open ? 1 : 0;
      inSection += open ? 1 : 0;
    }
    if (section.more) {
      section.more->setVisible(folded > 0 || section.open);
      section.more->setText(section.open ? tr("Fewer") : tr("%n more", nullptr, folded));
      section.more->setIcon(icon(section.open ? "chevron-up" : "chevron-down"));
    }
    if (section.heading) {
      section.heading->setVisible(inSection > 0 || folded > 0);
      section.heading->setContentsMargins(0, shown == 0 ? 0 : space::kWide, 0, space::kHalf);
    }
    shown += inSection;
  }
  m_empty->setVisible(shown == 0 && !m_empty->text().isEmpty());
  setUpdatesEnabled(true);
}

OptionField* OptionForm::field(const QString& key) const {
  for (const auto& section : m_sections) {
    for (const auto* list : {&section.fields, &section.advanced}) {
      for (auto* field : *list) {
        if (field->key() == key) return field;
      }
    }
  }
  return nullptr;
}

int OptionForm::visibleFields() const {
  int count = 0;
  for (const auto& section : m_sections) {
    for (const auto* list : {&section.fields, &section.advanced}) {
      count += static_cast<int>(std::count_if(list->begin(), list->end(), [](auto* f) { return f->isVisibleTo(f->parentWidget()); }));
    }
  }
  return count;
}

}  // namespace rankscope::ui

#include "ui/newrun/published_panel.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/shell/view.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

QString shownValue(const RunConfig& config, const QString& key) {
  const auto* option = findOption(key.toStdString());
  const std::string value = config.valueText(option->key);
  for (const auto& choice : option->choices)
    if (choice.value == value) return translatedOption(choice.title);
  if (value.empty() && !option->emptyMeans.empty()) return translatedOption(option->emptyMeans);
  return QString::fromStdString(value);
}

}  // namespace

struct PublishedPanel::Row {
  const PublishedSettings* settings = nullptr;
  QLabel* changes = nullptr;
  QPushButton* use = nullptr;
};

PublishedPanel::PublishedPanel(RunDraft* draft, std::function<bool(const std::string&)> hasMatrix, QWidget* parent)
    : QWidget(parent), m_draft(draft), m_hasMatrix(std::move(hasMatrix)) {
  setObjectName("published");
  m_fold = new QToolButton;
  m_fold->setObjectName("publishedFold");
  m_fold->setCheckable(true);
  m_fold->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  m_fold->setToolTip(tr("What the method was published with, and what that would change here"));
  makeFlat(m_fold);
  m_list = new QWidget;
  m_list->hide();
  m_column = new QVBoxLayout(m_list);
  m_column->setContentsMargins(space::kWide, 0, 0, 0);
  m_column->setSpacing(space::kUnit);
  auto* whole = new QVBoxLayout(this);
  whole->setContentsMargins(0, 0, 0, 0);
  whole->setSpacing(space::kHalf);
  whole->addWidget(m_fold, 0, Qt::AlignLeft);
  whole->addWidget(m_list);
  connect(m_fold, &QToolButton::toggled, this, &PublishedPanel::refresh);
}

PublishedPanel::~PublishedPanel() = default;

RunDraft::Edits PublishedPanel::editsOf(const PublishedSettings& settings, QStringList& absent) const {
  RunConfig then = m_draft->config();
  (void)then.assign(publishedAssignments(settings, then));
  RunDraft::Edits edits;
  for (const auto& [key, text] : settings.values) {
    const auto* option = findOption(key);
    if (!option) continue;
    if (!applies(*option, then)) continue;  // under what else is chosen: betas without Adam
    if (option->key == "method.target_modules") {
      for (const auto& target : then.list(option->key))
        if (!m_hasMatrix(target)) absent << QString::fromStdString(target);
      if (!absent.isEmpty()) continue;
    }
    if (then.value(key) != m_draft->config().value(key)) edits.emplace_back(QString::fromUtf8(key), then.value(key));
  }
  return edits;
}

void PublishedPanel::makeRows() {
  m_rows.clear();
  while (auto* item = m_column->takeAt(0)) {
    if (item->widget()) item->widget()->deleteLater();
    delete item;
  }
  for (const PublishedSettings* settings : publishedFor(m_method)) {
    auto* line = new QWidget;
    auto* row = new QHBoxLayout(line);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(space::kWide);
    auto* changes = new QLabel;
    changes->setObjectName(QStringLiteral("changes:") + QLatin1String(settings->name));
    changes->setWordWrap(true);
    changes->setTextFormat(Qt::RichText);
    changes->setTextInteractionFlags(Qt::TextSelectableByMouse);
    auto* use = new QPushButton;
    use->setObjectName(QStringLiteral("use:") + QLatin1String(settings->name));
    row->addWidget(changes, 1);
    row->addWidget(use, 0, Qt::AlignTop);
    m_column->addWidget(line);
    m_rows.push_back({settings, changes, use});
    connect(use, &QPushButton::clicked, this, [this, settings] {
      QStringList absent;
      m_draft->setMany(editsOf(*settings, absent), tr("Use %1").arg(translatedOption(settings->title)));
    });
  }
}

void PublishedPanel::showRow(const Row& row) const {
  QStringList absent, shown, spoken;
  const auto edits = editsOf(*row.settings, absent);
  RunConfig then = m_draft->config();
  for (const auto& [key, value] : edits) (void)then.set(key.toStdString(), value);
  for (const auto& [key, value] : edits) {
    const QString option = optionTitle(*findOption(key.toStdString()));
    const QString before = shownValue(m_draft->config(), key), after = shownValue(then, key);
    spoken << tr("%1 from %2 to %3").arg(option, before, after);
    shown << tr("%1 %2 → %3").arg(option.toHtmlEscaped(), before.toHtmlEscaped(), "<b>" + after.toHtmlEscaped() + "</b>");
  }
  const QString title = translatedOption(row.settings->title);
  QStringList lines{shown.isEmpty() ? tr("This draft has these settings.") : shown.join(QStringLiteral(" · "))};
  if (!absent.isEmpty()) lines << tr("The adapted matrices stay: this model has no %1.").arg(absent.join(QStringLiteral(", ")));
  if (*row.settings->note) lines << translatedOption(row.settings->note).toHtmlEscaped();
  if (*row.settings->unverified)
    lines << tr("From memory, not checked against the paper: %1.")
                 .arg(translatedOption(row.settings->unverified).toHtmlEscaped());
  row.changes->setText(QStringLiteral("%1<br><span style='color:%2'>%3</span>")
                           .arg(title.toHtmlEscaped(), ui::palette().textMuted.name(), lines.join(QStringLiteral("<br>"))));
  row.use->setEnabled(!edits.empty());
  row.use->setText(edits.empty() ? tr("In use") : tr("Use"));
  row.use->setAccessibleName(tr("Use the settings of %1").arg(title));
  row.use->setAccessibleDescription(spoken.join(QStringLiteral("; ")));
  const QString undo = withShortcut(tr("Sets these options; undo takes them back"), QKeySequence::Undo);
  row.use->setToolTip(edits.empty() ? QString() : undo);
}

void PublishedPanel::refresh() {
  const std::string method = m_draft->config().str("method.name");
  if (method != m_method) {
    m_method = method;
    makeRows();
  }
  setVisible(!m_rows.empty());
  m_list->setVisible(m_fold->isChecked());
  m_fold->setText(m_rows.size() == 1 ? tr("Published settings") : tr("Published settings, %1").arg(m_rows.size()));
  m_fold->setIcon(icon(m_fold->isChecked() ? "chevron-up" : "chevron-down"));
  for (const Row& row : m_rows) showRow(row);
}

}  // namespace rankscope::ui

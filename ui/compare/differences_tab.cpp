#include "ui/compare/differences_tab.h"

#include "core/config/option_spec.h"
#include "core/store/store.h"
#include "ui/compare/copy_buttons.h"
#include "ui/runs/run_delegates.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/theme/theme.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QTableWidget>
#include <QVBoxLayout>

namespace rankscope::ui {

DifferencesTab::DifferencesTab(ViewContext& context, QWidget* parent) : QWidget(parent), m_context(context) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  auto* top = new QHBoxLayout;
  top->setContentsMargins(space::kWide, space::kUnit, space::kUnit, space::kUnit);
  m_sentence = new QLabel(this);
  m_sentence->setWordWrap(true);
  m_sentence->setTextInteractionFlags(Qt::TextSelectableByMouse);
  m_sentence->setAccessibleName(tr("Differences in a sentence"));
  top->addWidget(m_sentence, 1);
  addCopyButtons(this, top, [this] { return asText(); }, [this](const QString& text) { Q_EMIT statusMessage(text); });
  layout->addLayout(top);
  m_table = new QTableWidget(this);
  m_table->setAccessibleName(tr("Options that differ"));
  m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_table->setShowGrid(true);
  m_table->setFrameShape(QFrame::NoFrame);
  m_table->setTabKeyNavigation(false);
  m_table->verticalHeader()->hide();
  m_table->verticalHeader()->setDefaultSectionSize(space::rowHeight());
  m_table->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  m_table->horizontalHeader()->setHighlightSections(false);
  layout->addWidget(m_table, 1);
}

void DifferencesTab::setActive(bool active) {
  m_active = active;
  if (active) load();
}

void DifferencesTab::setRuns(const std::vector<ComparedRun>& runs) {
  m_runs.clear();
  for (const ComparedRun& run : runs)
    if (run.visible) m_runs.push_back(run);
  if (m_active) load();
}

void DifferencesTab::load() {
  std::vector<std::string> ids;
  for (const ComparedRun& run : m_runs) ids.push_back(run.id.toStdString());
  if (ids.size() < 2) {
    m_context.store->drop(this, "differences");
    m_differences.clear();
    fill();
    return;
  }
  m_context.store->read(this, "differences", [ids](Store& store) { return store.configDifferences(ids); },
                        [this](Result<std::vector<RunDifference>> differences) {
                          if (!differences.ok()) {
                            m_sentence->setText(QString::fromStdString(differences.error().message()));
                            return;
                          }
                          m_differences = std::move(*differences);
                          std::stable_partition(m_differences.begin(), m_differences.end(), realDifference);
                          std::stable_partition(m_differences.begin(), m_differences.end(),
                                                [](const RunDifference& d) { return d.key == "method.name"; });
                          fill();
                        });
}

void DifferencesTab::fill() {
  m_sentence->setText(differenceSentence(m_runs, m_differences));
  m_table->setColumnCount(static_cast<int>(m_runs.size()) + 1);
  m_table->setRowCount(static_cast<int>(m_differences.size()));
  m_table->setHorizontalHeaderItem(0, new QTableWidgetItem(tr("Option")));
  m_table->setVisible(!m_differences.empty());
  for (size_t c = 0; c < m_runs.size(); ++c) {
    auto* head = new QTableWidgetItem(m_runs[c].label);
    QPixmap swatch(4, 12);
    swatch.fill(colourOfRun(m_runs[c].row));
    head->setIcon(QIcon(swatch));
    head->setToolTip(QString::fromStdString(m_runs[c].row.name));
    m_table->setHorizontalHeaderItem(static_cast<int>(c) + 1, head);
  }
  for (size_t r = 0; r < m_differences.size(); ++r) {
    const RunDifference& difference = m_differences[r];
    const QString key = QString::fromStdString(difference.key);
    auto* title = new QTableWidgetItem(optionTitle(key));
    const OptionSpec* option = findOption(difference.key);
    title->setToolTip(option ? QStringLiteral("%1\n%2").arg(key, QString::fromStdString(option->help)) : key);
    m_table->setItem(static_cast<int>(r), 0, title);
    for (size_t c = 0; c < m_runs.size() && c < difference.values.size(); ++c) {
      const std::string& value = difference.values[c];
      auto* item = new QTableWidgetItem(value.empty() ? QString::fromUtf8(kDash) : QString::fromStdString(value));
      item->setToolTip(item->text());
      if (value.empty() || !realDifference(difference)) item->setForeground(colours().textMuted);
      else if (c > 0 && value != difference.values[0]) item->setForeground(mixed(colours().changed, colours().text, 0.35));
      m_table->setItem(static_cast<int>(r), static_cast<int>(c) + 1, item);
    }
  }
  m_table->setColumnWidth(0, 200);
  for (int c = 1; c < m_table->columnCount(); ++c) m_table->setColumnWidth(c, 150);
}

QString DifferencesTab::sentence() const { return m_sentence->text(); }

TextTable DifferencesTab::asText() const {
  TextTable table;
  table.caption = m_sentence->text();
  table.columns.push_back({tr("Option"), false});
  for (const ComparedRun& run : m_runs) table.columns.push_back({run.label, false});
  for (const RunDifference& difference : m_differences) {
    std::vector<TextCell> row = {TextCell(QString::fromStdString(difference.key))};
    for (const std::string& value : difference.values) row.emplace_back(QString::fromStdString(value));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace rankscope::ui

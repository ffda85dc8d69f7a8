#include "ui/compare/paper_tab.h"

#include "ui/compare/copy_buttons.h"
#include "ui/compare/rank_tab.h"
#include "ui/theme/theme.h"

#include <QCheckBox>
#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QTableWidget>
#include <QVBoxLayout>

namespace rankscope::ui {

PaperTab::PaperTab(QWidget* parent) : QWidget(parent) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  auto* row = new QHBoxLayout;
  row->setContentsMargins(space::kUnit, space::kHalf, space::kUnit, space::kHalf);
  row->setSpacing(space::kUnit);
  const auto combo = [&](const QString& text) {
    auto* label = new QLabel(text, this);
    makeCaption(label);
    auto* box = new QComboBox(this);
    box->setAccessibleName(text);
    label->setBuddy(box);
    row->addWidget(label);
    row->addWidget(box);
    connect(box, &QComboBox::activated, this, &PaperTab::build);
    return box;
  };
  m_rows = combo(tr("Rows"));
  m_rows->addItem(tr("Method and rank"), QStringList{QStringLiteral("method"), QStringLiteral("rank")});
  m_rows->addItem(tr("Method"), QStringList{QStringLiteral("method")});
  m_rows->addItem(tr("Model, method and rank"), QStringList{QStringLiteral("model"), QStringLiteral("method"), QStringLiteral("rank")});
  m_rows->addItem(tr("Run"), QStringList{QStringLiteral("name")});
  m_columns = combo(tr("Columns"));
  m_columns->addItem(tr("Data"), QStringLiteral("data"));
  m_columns->addItem(tr("Task"), QStringLiteral("task"));
  m_columns->addItem(tr("Model"), QStringLiteral("model"));
  m_score = combo(tr("Figure"));
  m_score->setMinimumWidth(220);
  m_percent = new QCheckBox(tr("× 100"), this);
  m_percent->setToolTip(tr("Shares in percent, as papers give them"));
  connect(m_percent, &QCheckBox::toggled, this, &PaperTab::build);
  row->addWidget(m_percent);
  row->addStretch(1);
  addCopyButtons(this, row, [this] { return m_paper.text; }, [this](const QString& text) { Q_EMIT statusMessage(text); });
  layout->addLayout(row);
  m_empty = new QLabel(tr("None of these runs has this figure yet."), this);
  m_empty->setAlignment(Qt::AlignCenter);
  makeCaption(m_empty);
  layout->addWidget(m_empty, 1);
  m_view = new QTableWidget(this);
  m_view->setAccessibleName(tr("Paper table"));
  m_view->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_view->setFrameShape(QFrame::NoFrame);
  m_view->setShowGrid(false);
  m_view->setTabKeyNavigation(false);
  m_view->verticalHeader()->hide();
  m_view->verticalHeader()->setDefaultSectionSize(space::rowHeight() + 2);
  m_view->horizontalHeader()->setHighlightSections(false);
  layout->addWidget(m_view, 1);
  m_note = new QLabel(this);
  m_note->setWordWrap(true);
  m_note->setContentsMargins(space::kWide, space::kUnit, space::kWide, space::kUnit);
  makeCaption(m_note);
  layout->addWidget(m_note);
}

void PaperTab::setRuns(const std::vector<ComparedRun>& runs) {
  m_runs = runs;
  if (m_score->count() > 0) m_wantedScore = m_score->currentData().toString();
  const QSignalBlocker quiet(m_score);
  m_score->clear();
  for (const auto& [text, value] : scoreChoices(runs)) m_score->addItem(text, value);
  m_score->setCurrentIndex(std::max(0, m_score->findData(m_wantedScore)));
  build();
}

void PaperTab::build() {
  PaperOptions options;
  options.rowKeys = m_rows->currentData().toStringList();
  options.columnKey = m_columns->currentData().toString();
  options.score = m_score->currentData().toString();
  options.percent = m_percent->isChecked();
  m_paper = paperTable(m_runs, options);
  const TextTable& text = m_paper.text;
  m_note->setText(m_paper.note);
  m_view->setVisible(!text.rows.empty());
  m_empty->setVisible(text.rows.empty());
  m_view->clear();
  m_view->setColumnCount(static_cast<int>(text.columns.size()));
  m_view->setRowCount(static_cast<int>(text.rows.size()));
  for (size_t c = 0; c < text.columns.size(); ++c) {
    auto* head = new QTableWidgetItem(text.columns[c].title);
    head->setTextAlignment(text.columns[c].number ? Qt::AlignRight | Qt::AlignVCenter : Qt::AlignLeft | Qt::AlignVCenter);
    m_view->setHorizontalHeaderItem(static_cast<int>(c), head);
  }
  for (size_t r = 0; r < text.rows.size(); ++r) {
    for (size_t c = 0; c < text.rows[r].size(); ++c) {
      const TextCell& cell = text.rows[r][c];
      auto* item = new QTableWidgetItem(cell.text);
      item->setTextAlignment(text.columns[c].number ? Qt::AlignRight | Qt::AlignVCenter : Qt::AlignLeft | Qt::AlignVCenter);
      QFont font = Theme::tabular(Theme::instance().uiFont());
      font.setBold(cell.bold);
      item->setFont(font);
      if (const int n = m_paper.counts[r][c]; n > 0) item->setToolTip(tr("over %n run(s)", nullptr, n));
      m_view->setItem(static_cast<int>(r), static_cast<int>(c), item);
    }
  }
  m_view->resizeColumnsToContents();
  for (int c = 0; c < m_view->columnCount(); ++c) m_view->setColumnWidth(c, std::clamp(m_view->columnWidth(c) + 24, 80, 320));
}

QJsonObject PaperTab::saveState() const {
  return {{QStringLiteral("rows"), m_rows->currentIndex()},
          {QStringLiteral("columns"), m_columns->currentIndex()},
          {QStringLiteral("percent"), m_percent->isChecked()},
          {QStringLiteral("score"), m_score->count() > 0 ? m_score->currentData().toString() : m_wantedScore}};
}

void PaperTab::restoreState(const QJsonObject& state) {
  m_rows->setCurrentIndex(std::clamp(state.value(QStringLiteral("rows")).toInt(), 0, m_rows->count() - 1));
  m_columns->setCurrentIndex(std::clamp(state.value(QStringLiteral("columns")).toInt(), 0, m_columns->count() - 1));
  m_percent->setChecked(state.value(QStringLiteral("percent")).toBool());
  m_wantedScore = state.value(QStringLiteral("score")).toString(m_wantedScore);
}

}  // namespace rankscope::ui

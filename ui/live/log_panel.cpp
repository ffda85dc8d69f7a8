#include "ui/live/log_panel.h"

#include <QAction>
#include <QClipboard>
#include <QComboBox>
#include <QDateTime>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QScrollBar>
#include <QTableView>
#include <QVBoxLayout>

#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

int severity(const std::string& level) {
  if (level == "error") return 3;
  if (level == "warning") return 2;
  return level == "debug" ? 0 : 1;
}

}  // namespace

void LogModel::sync(const RunHistory* history) {
  const uint64_t count = history ? history->logCount() : 0;
  if (count < m_seen || !history) {
    beginResetModel();
    m_lines.clear();
    m_seen = 0;
    endResetModel();
    if (!history) return;
  }
  const auto& log = history->log();
  const uint64_t fresh = std::min<uint64_t>(count - m_seen, log.size());
  m_seen = count;
  if (fresh == 0) return;
  const auto have = static_cast<int>(m_lines.size());
  beginInsertRows({}, have, have + static_cast<int>(fresh) - 1);
  m_lines.insert(m_lines.end(), log.end() - static_cast<std::ptrdiff_t>(fresh), log.end());
  endInsertRows();
  if (m_lines.size() > RunHistory::kMaxLogLines) {
    const auto surplus = static_cast<int>(m_lines.size() - RunHistory::kMaxLogLines);
    beginRemoveRows({}, 0, surplus - 1);
    m_lines.erase(m_lines.begin(), m_lines.begin() + surplus);
    endRemoveRows();
  }
}

int LogModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : static_cast<int>(m_lines.size()); }
int LogModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : ColumnCount; }

QVariant LogModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const auto& line = m_lines[static_cast<size_t>(index.row())];
  switch (role) {
    case Qt::DisplayRole:
      switch (index.column()) {
        case Time: return QLocale().toString(QDateTime::fromMSecsSinceEpoch(qint64(line.time * 1000)).time(), "HH:mm:ss");
        case Step: return formatInteger(line.step);
        case Level: return QString::fromStdString(line.level);
        default: return QString::fromStdString(line.text);
      }
    case Qt::ToolTipRole: return index.column() == Text ? QString::fromStdString(line.text) : formatWhenLong(line.time);
    case Qt::ForegroundRole: {
      const int level = severity(line.level);
      if (level == 3) return ui::palette().danger;
      if (level == 2) return ui::palette().warning;
      return index.column() == Text && level == 1 ? ui::palette().text : ui::palette().textMuted;
    }
    case Qt::TextAlignmentRole:
      return int((index.column() == Step ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    case SeverityRole: return severity(line.level);
    default: return {};
  }
}

QVariant LogModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole) return {};
  switch (section) {
    case Time: return tr("Time");
    case Step: return tr("Step");
    case Level: return tr("Level");
    default: return tr("Text");
  }
}

void LogFilter::setLevel(int severity) {
  m_severity = severity;
  invalidateFilter();
}

void LogFilter::setWords(const QString& text) {
  m_words = text.split(' ', Qt::SkipEmptyParts);
  invalidateFilter();
}

bool LogFilter::filterAcceptsRow(int row, const QModelIndex& parent) const {
  const auto line = sourceModel()->index(row, LogModel::Text, parent);
  if (line.data(LogModel::SeverityRole).toInt() < m_severity) return false;
  const auto text = line.data().toString();
  return std::all_of(m_words.begin(), m_words.end(),
                     [&text](const QString& word) { return text.contains(word, Qt::CaseInsensitive); });
}

LogPanel::LogPanel(QWidget* parent) : QWidget(parent) {
  m_filter.setSourceModel(&m_model);
  m_level = new QComboBox;
  m_level->setObjectName("logLevel");
  m_level->setAccessibleName(tr("Lowest level"));
  m_level->addItems({tr("Everything"), tr("Information"), tr("Warnings"), tr("Errors")});
  m_level->setCurrentIndex(1);
  m_search = new QLineEdit;
  m_search->setObjectName("logSearch");
  m_search->setAccessibleName(tr("Search the log"));
  m_search->setPlaceholderText(tr("Search the log"));
  m_search->setClearButtonEnabled(true);
  m_search->setMaximumWidth(280);
  m_count = new QLabel;
  makeCaption(m_count);
  m_table = new QTableView;
  m_table->setObjectName("logTable");
  m_table->setAccessibleName(tr("Log"));
  m_table->setModel(&m_filter);
  m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_table->setShowGrid(false);
  m_table->setWordWrap(false);
  m_table->setTabKeyNavigation(false);
  m_table->setFrameShape(QFrame::NoFrame);
  m_table->setFont(Theme::instance().monoFont());
  m_table->verticalHeader()->hide();
  m_table->verticalHeader()->setDefaultSectionSize(QFontMetrics(Theme::instance().monoFont()).height() + 4);
  m_table->horizontalHeader()->hide();
  m_table->horizontalHeader()->setStretchLastSection(true);
  const QFontMetrics metrics(Theme::instance().monoFont());
  m_table->setColumnWidth(LogModel::Time, metrics.horizontalAdvance("00:00:00") + 28);
  m_table->setColumnWidth(LogModel::Step, metrics.horizontalAdvance("0,000,000") + 20);
  m_table->setColumnWidth(LogModel::Level, metrics.horizontalAdvance("warning") + 28);
  auto* copy = new QAction(tr("Copy lines"), m_table);
  copy->setShortcut(QKeySequence::Copy);
  copy->setShortcutContext(Qt::WidgetShortcut);
  m_table->addAction(copy);
  m_table->setContextMenuPolicy(Qt::ActionsContextMenu);

  auto* bar = new QHBoxLayout;
  bar->setSpacing(space::kUnit);
  bar->addWidget(m_level);
  bar->addWidget(m_search, 1);
  bar->addStretch(1);
  bar->addWidget(m_count);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, space::kHalf, 0, 0);
  column->setSpacing(space::kHalf);
  column->addLayout(bar);
  column->addWidget(m_table, 1);
  connect(copy, &QAction::triggered, this, &LogPanel::copySelected);
  connect(m_level, &QComboBox::currentIndexChanged, this, [this](int level) {
    m_filter.setLevel(level);
    m_count->setText(tr("%1 lines").arg(formatInteger(m_filter.rowCount())));
  });
  connect(m_search, &QLineEdit::textChanged, this, [this](const QString& text) {
    m_filter.setWords(text);
    m_count->setText(tr("%1 lines").arg(formatInteger(m_filter.rowCount())));
  });
}

void LogPanel::sync(const RunHistory* history) {
  const auto* bar = m_table->verticalScrollBar();
  const bool atEnd = bar->value() >= bar->maximum() - 1;
  m_model.sync(history);
  m_count->setText(tr("%1 lines").arg(formatInteger(m_filter.rowCount())));
  if (atEnd) m_table->scrollToBottom();
}

void LogPanel::copySelected() {
  QStringList lines;
  auto rows = m_table->selectionModel()->selectedRows();
  std::sort(rows.begin(), rows.end());
  for (const auto& row : rows) {
    QStringList cells;
    for (int c = 0; c < LogModel::ColumnCount; ++c) cells << m_filter.index(row.row(), c).data().toString();
    lines << cells.join('\t');
  }
  QGuiApplication::clipboard()->setText(lines.join('\n'));
}

}  // namespace rankscope::ui

#include "ui/shell/command_palette.h"

#include "core/store/store.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QMenu>
#include <QVBoxLayout>

namespace rankscope::ui {

namespace {

constexpr int kWidth = 620;
constexpr int kRows = 12;
constexpr int kRunLimit = 8;

QString plain(QString text) { return text.remove(QLatin1Char('&')); }

}  // namespace

CommandPalette::CommandPalette(ViewContext& context, QWidget* window) : QFrame(window), m_context(context) {
  setObjectName(QStringLiteral("palette"));
  setAccessibleName(tr("Command palette"));
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(1, 1, 1, 6);
  layout->setSpacing(4);
  m_input = new QLineEdit(this);
  m_input->setPlaceholderText(tr("Do anything, go anywhere, find a run"));
  m_input->setAccessibleName(tr("Command"));
  m_input->addAction(icon(QStringLiteral("search")), QLineEdit::LeadingPosition);
  m_list = new QListWidget(this);
  m_list->setAccessibleName(tr("Matches"));
  m_list->setFrameShape(QFrame::NoFrame);
  m_list->setIconSize({16, 16});
  m_list->setFocusPolicy(Qt::NoFocus);
  m_list->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  m_list->setUniformItemSizes(true);
  layout->addWidget(m_input);
  layout->addWidget(m_list);
  m_input->installEventFilter(this);
  window->installEventFilter(this);
  connect(m_input, &QLineEdit::textChanged, this, &CommandPalette::refresh);
  connect(m_list, &QListWidget::itemClicked, this, &CommandPalette::accept);
  hide();
}

int CommandPalette::score(const QString& typed, const QString& text) {
  const QStringList words = typed.split(QLatin1Char(' '), Qt::SkipEmptyParts);
  if (words.isEmpty()) return 1;
  int total = 0;
  for (const QString& word : words) {
    const qsizetype at = text.indexOf(word, 0, Qt::CaseInsensitive);
    if (at >= 0) {
      const bool begins = at == 0 || !text[at - 1].isLetterOrNumber();
      total += (begins ? 60 : 30) - static_cast<int>(std::min<qsizetype>(at, 20));
      continue;
    }
    // Letters in order, each at the beginning of a word or right behind the last: "gtc" finds "Go to Compare".
    qsizetype position = 0;
    int found = 0;
    for (const QChar letter : word) {
      bool hit = false;
      for (; position < text.size() && !hit; ++position) {
        const bool begins = position == 0 || !text[position - 1].isLetterOrNumber();
        hit = begins && text[position].toCaseFolded() == letter.toCaseFolded();
      }
      if (!hit) break;
      ++found;
    }
    if (found < word.size()) return 0;
    total += 15;
  }
  return total + 1;
}

void CommandPalette::popUp(const QList<QAction*>& actions) {
  m_actions.clear();
  for (QAction* action : actions) m_actions.push_back(action);
  if (!isVisible()) m_focusBefore = QApplication::focusWidget();
  m_input->clear();
  m_runs.clear();
  refresh();
  QWidget::show();
  raise();
  m_input->setFocus(Qt::PopupFocusReason);
}

void CommandPalette::refresh() {
  const QString typed = m_input->text().trimmed();
  m_matches.clear();
  for (const auto& action : m_actions) {
    if (!action || !action->isEnabled() || action->text().isEmpty()) continue;
    const QString title = plain(action->text());
    const int points = score(typed, title);
    if (points > 0)
      m_matches.push_back({title, action->shortcut().toString(QKeySequence::NativeText), {}, {}, action, points});
  }
  std::stable_sort(m_matches.begin(), m_matches.end(), [](const Entry& a, const Entry& b) { return a.score > b.score; });
  if (typed.size() < 2) {
    m_context.store->drop(this, "runs");
    m_runs.clear();
  } else {
    m_context.store->read(
        this, "runs",
        [text = typed.toStdString()](Store& store) {
          RunQuery query;
          query.text = text;
          query.limit = kRunLimit;
          query.includeArchived = true;
          query.withMetrics = query.withSparkline = false;
          return store.listRuns(query);
        },
        [this](Result<RunPage> page) {
          if (!page.ok()) return;
          m_runs.clear();
          for (const RunRow& row : page->rows) {
            const QString method = methodTitle(QString::fromStdString(row.method));
            const QString hint = row.rank ? tr("%1 rank %2").arg(method).arg(*row.rank) : method;
            m_runs.push_back({QString::fromStdString(row.name), hint, stateIcon(QString::fromStdString(row.status)),
                              QString::fromStdString(row.id), {}, 0});
          }
          show(m_matches);
        });
  }
  show(m_matches);
}

void CommandPalette::show(const std::vector<Entry>& entries) {
  m_list->clear();
  const auto add = [this](const Entry& entry, int index) {
    auto* item = new QListWidgetItem(m_list);
    item->setData(Qt::UserRole, index);
    item->setData(Qt::AccessibleTextRole, entry.title);
    item->setSizeHint({0, space::scaled(30)});
    auto* row = new QWidget(m_list);
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(10, 0, 12, 0);
    layout->setSpacing(10);
    auto* picture = new QLabel(row);
    picture->setFixedWidth(16);
    const QIcon i = entry.action ? entry.action->icon() : icon(entry.iconName, colours().textMuted);
    if (!i.isNull()) picture->setPixmap(i.pixmap(16));
    auto* title = new QLabel(entry.title, row);
    auto* hint = new QLabel(entry.hint, row);
    makeCaption(hint);
    layout->addWidget(picture);
    layout->addWidget(title, 1);
    layout->addWidget(hint);
    m_list->setItemWidget(item, row);
  };
  for (size_t i = 0; i < entries.size(); ++i) add(entries[i], static_cast<int>(i));
  for (size_t i = 0; i < m_runs.size(); ++i) add(m_runs[i], -1 - static_cast<int>(i));
  if (m_list->count() > 0) m_list->setCurrentRow(0);
  const int rows = std::clamp(m_list->count(), 1, kRows);
  m_list->setFixedHeight(rows * space::scaled(30) + 4);
  const QWidget* window = parentWidget();
  const int width = std::min(kWidth, window->width() - 80);
  resize(width, m_input->sizeHint().height() + m_list->height() + 14);
  move((window->width() - width) / 2, 72);
}

void CommandPalette::accept() {
  const QListWidgetItem* item = m_list->currentItem();
  if (!item) return;
  const int index = item->data(Qt::UserRole).toInt();
  const Entry entry = index < 0 ? m_runs[static_cast<size_t>(-1 - index)] : m_matches[static_cast<size_t>(index)];
  dismiss();
  if (entry.action)
    entry.action->trigger();
  else if (!entry.runId.isEmpty())
    Q_EMIT runChosen(entry.runId);
}

void CommandPalette::dismiss() {
  hide();
  if (m_focusBefore) m_focusBefore->setFocus(Qt::PopupFocusReason);
}

bool CommandPalette::eventFilter(QObject* object, QEvent* event) {
  if (object == parentWidget()) {
    if (isVisible() && event->type() == QEvent::Resize) show(m_matches);
    return false;
  }
  if (event->type() == QEvent::FocusOut && isVisible()) {
    hide();
    return false;
  }
  if (event->type() != QEvent::KeyPress) return false;
  const auto* key = static_cast<QKeyEvent*>(event);
  const int count = m_list->count();
  switch (key->key()) {
    case Qt::Key_Escape: dismiss(); return true;
    case Qt::Key_Return:
    case Qt::Key_Enter: accept(); return true;
    case Qt::Key_Down:
      if (count > 0) m_list->setCurrentRow((m_list->currentRow() + 1) % count);
      return true;
    case Qt::Key_Up:
      if (count > 0) m_list->setCurrentRow((m_list->currentRow() + count - 1) % count);
      return true;
    case Qt::Key_PageDown: m_list->setCurrentRow(std::min(count - 1, m_list->currentRow() + kRows)); return true;
    case Qt::Key_PageUp: m_list->setCurrentRow(std::max(0, m_list->currentRow() - kRows)); return true;
    default: return false;
  }
}

}  // namespace rankscope::ui

#include "ui/runs/filter_box.h"

#include "core/store/filter.h"
#include "core/store/store.h"
#include "ui/shell/store_service.h"
#include "ui/theme/theme.h"

#include <QAbstractItemView>
#include <QCompleter>
#include <QCoreApplication>
#include <QHBoxLayout>
#include <QInputMethodEvent>
#include <QKeyEvent>
#include <QStringListModel>

namespace rankscope::ui {

namespace {

constexpr int kPauseMs = 30;
constexpr int kMistakeMs = 400;  // half a word is no mistake yet

bool partOfName(QChar c) {
  return c.isLetterOrNumber() || c == QLatin1Char('_') || c == QLatin1Char('.') || c == QLatin1Char('/');
}

// Where the name under the cursor begins.
qsizetype wordStart(const QString& text, qsizetype cursor) {
  qsizetype at = cursor;
  while (at > 0 && partOfName(text[at - 1])) --at;
  return at;
}

}  // namespace

FilterBox::FilterBox(StoreService& store, QWidget* parent) : QWidget(parent), m_store(store) {
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  m_input = new QLineEdit(this);
  m_input->setAccessibleName(tr("Filter runs"));
  m_input->setPlaceholderText(tr("Filter: words, /regex/, or rank >= 16 and method = reflora and data ~ mrpc"));
  m_input->setClearButtonEnabled(true);
  m_input->addAction(icon(QStringLiteral("filter")), QLineEdit::LeadingPosition);
  m_input->setToolTip(tr("Find runs (Ctrl+F). F1 explains the language."));
  layout->addWidget(m_input);
  setFocusProxy(m_input);

  m_names = new QStringListModel(this);
  m_completer = new QCompleter(m_names, this);
  m_completer->setWidget(m_input);
  m_completer->setCaseSensitivity(Qt::CaseInsensitive);
  m_completer->setFilterMode(Qt::MatchContains);
  m_completer->setMaxVisibleItems(10);
  connect(m_completer, QOverload<const QString&>::of(&QCompleter::activated), this, &FilterBox::insertCompletion);

  m_pause.setSingleShot(true);
  m_pause.setInterval(kPauseMs);
  m_mistake.setSingleShot(true);
  m_mistake.setInterval(kMistakeMs);
  connect(&m_mistake, &QTimer::timeout, this, [this] { m_tell(); });
  connect(&m_pause, &QTimer::timeout, this, &FilterBox::check);
  connect(m_input, &QLineEdit::textEdited, this, [this] {
    m_pause.start();
    complete();
  });
  connect(m_input, &QLineEdit::textChanged, this, [this](const QString& text) {
    if (text.isEmpty()) check();
  });
  m_input->installEventFilter(this);
  connect(&m_store, &StoreService::opened, this, &FilterBox::loadNames);
  loadNames();
}

QString FilterBox::text() const { return m_input->text(); }

void FilterBox::setText(const QString& text) {
  m_input->setText(text);
  check();
}

void FilterBox::focusInput() {
  m_input->setFocus(Qt::ShortcutFocusReason);
  m_input->selectAll();
}

void FilterBox::loadNames() {
  m_store.read(this, "names", [](Store& store) { return store.names(); }, [this](Result<FilterNames> names) {
    QStringList all;
    for (const FilterField& field : filterFields()) all << QString::fromStdString(field.name);
    if (names.ok()) {
      for (const std::string& metric : names->metrics) all << QString::fromStdString(metric);
      for (const std::string& key : names->configKeys) all << QString::fromStdString(key);
    }
    all.removeDuplicates();
    m_names->setStringList(all);
  });
}

void FilterBox::check() {
  m_pause.stop();
  m_mistake.stop();
  const QString text = m_input->text().trimmed();
  if (text.isEmpty()) {
    m_store.drop(this, "check");
    showProblem({}, 0, 0);
    if (!m_good.isEmpty()) {
      m_good.clear();
      Q_EMIT filterChanged(m_good);
    }
    return;
  }
  m_store.read(this, "check",
               [utf8 = text.toStdString()](Store& store) -> std::optional<FilterProblem> { return store.checkFilter(utf8); },
               [this, text](Result<std::optional<FilterProblem>> answer) {
                 if (!answer.ok()) return;
                 if (const auto& found = *answer) {
                   // Byte offsets to characters; the box may hold blanks before the trimmed text.
                   const std::string utf8 = text.toStdString();
                   const auto chars = [&](size_t bytes) {
                     return QString::fromUtf8(utf8.c_str(), static_cast<qsizetype>(std::min(bytes, utf8.size()))).size();
                   };
                   const qsizetype lead = m_input->text().indexOf(text);
                   QString message = QString::fromStdString(found->error.what);
                   if (!found->error.hint.empty()) message += QStringLiteral(". ") + QString::fromStdString(found->error.hint);
                   const qsizetype offset = lead + chars(found->offset);
                   const qsizetype length = std::max<qsizetype>(1, chars(found->offset + found->length) - chars(found->offset));
                   m_tell = [this, message, offset, length] { showProblem(message, offset, length); };
                   m_mistake.start();
                   return;
                 }
                 showProblem({}, 0, 0);
                 if (text == m_good) return;
                 m_good = text;
                 Q_EMIT filterChanged(m_good);
               });
}

// The part at fault is underlined in the box itself, by the means that input methods use.
void FilterBox::showProblem(const QString& problem, qsizetype offset, qsizetype length) {
  makeInvalid(m_input, !problem.isEmpty());
  QList<QInputMethodEvent::Attribute> attributes;
  if (!problem.isEmpty()) {
    QTextCharFormat format;
    format.setUnderlineStyle(QTextCharFormat::WaveUnderline);
    format.setUnderlineColor(colours().danger);
    format.setForeground(colours().danger);
    attributes.push_back({QInputMethodEvent::TextFormat, static_cast<int>(offset) - m_input->cursorPosition(),
                          static_cast<int>(length), format});
  }
  QInputMethodEvent event(QString(), attributes);
  QCoreApplication::sendEvent(m_input, &event);
  m_input->setAccessibleDescription(problem);
  if (problem == m_problem) return;
  m_problem = problem;
  Q_EMIT problemChanged(problem);
}

void FilterBox::complete() {
  const QString text = m_input->text();
  const qsizetype cursor = m_input->cursorPosition(), start = wordStart(text, cursor);
  const QString word = text.mid(start, cursor - start);
  if (word.size() < 2 || word.front().isDigit()) {
    m_completer->popup()->hide();
    return;
  }
  m_completer->setCompletionPrefix(word);
  if (m_completer->completionCount() == 0 || (m_completer->completionCount() == 1 && m_completer->currentCompletion() == word)) {
    m_completer->popup()->hide();
    return;
  }
  // Under the word that is being written.
  const QRect cursorPlace = m_input->inputMethodQuery(Qt::ImCursorRectangle).toRect();
  const QRect place(cursorPlace.left(), 0, 320, m_input->height());
  m_completer->complete(place);
}

void FilterBox::insertCompletion(const QString& word) {
  const QString text = m_input->text();
  const qsizetype cursor = m_input->cursorPosition(), start = wordStart(text, cursor);
  m_input->setText(text.left(start) + word + text.mid(cursor));
  m_input->setCursorPosition(static_cast<int>(start + word.size()));
  m_pause.start();
}

bool FilterBox::eventFilter(QObject* object, QEvent* event) {
  if (object != m_input || event->type() != QEvent::KeyPress) return false;
  const auto* key = static_cast<QKeyEvent*>(event);
  if (m_completer->popup()->isVisible()) return false;
  if (key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter || key->key() == Qt::Key_Down) {
    check();
    Q_EMIT leaveDown();
    return true;
  }
  if (key->key() == Qt::Key_Escape && !m_input->text().isEmpty()) {
    m_input->clear();
    return true;
  }
  return false;
}

}  // namespace rankscope::ui

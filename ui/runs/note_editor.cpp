#include "ui/runs/note_editor.h"

#include "ui/theme/theme.h"

#include <QPlainTextEdit>
#include <QStackedWidget>
#include <QTextBrowser>
#include <QToolButton>
#include <QVBoxLayout>

namespace rankscope::ui {

namespace {
constexpr int kPauseMs = 1500;
}

NoteEditor::NoteEditor(QWidget* parent) : QWidget(parent) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  m_pages = new QStackedWidget(this);
  m_shown = new QTextBrowser(m_pages);
  m_shown->setProperty("role", QStringLiteral("plain"));
  m_shown->setAccessibleName(tr("Note, as shown"));
  m_shown->setOpenExternalLinks(true);
  m_text = new QPlainTextEdit(m_pages);
  m_text->setProperty("role", QStringLiteral("plain"));
  m_text->setAccessibleName(tr("Note"));
  m_text->setPlaceholderText(tr("What did you want to find out, and what did you see? Markdown is understood."));
  m_text->setFont(Theme::instance().monoFont());
  m_pages->addWidget(m_shown);
  m_pages->addWidget(m_text);
  m_mode = new QToolButton(this);
  m_mode->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  layout->addWidget(m_mode, 0, Qt::AlignLeft);
  layout->addWidget(m_pages, 1);
  m_pause.setSingleShot(true);
  m_pause.setInterval(kPauseMs);
  connect(&m_pause, &QTimer::timeout, this, &NoteEditor::save);
  connect(m_text, &QPlainTextEdit::textChanged, this, [this] {
    if (m_text->document()->isModified()) m_pause.start();
  });
  connect(m_mode, &QToolButton::clicked, this, [this] {
    if (m_pages->currentWidget() != m_text) {
      edit();
      return;
    }
    save();
    preview();
  });
  preview();
}

void NoteEditor::preview() {
  m_shown->setMarkdown(m_known.isEmpty() ? tr("*No note yet.*") : m_known);
  m_pages->setCurrentWidget(m_shown);
  m_mode->setText(tr("Edit"));
  m_mode->setIcon(icon(QStringLiteral("edit")));
}

void NoteEditor::edit() {
  m_pages->setCurrentWidget(m_text);
  m_mode->setText(tr("Save"));
  m_mode->setIcon(icon(QStringLiteral("check")));
  m_text->setFocus(Qt::OtherFocusReason);
}

void NoteEditor::setNote(const QString& runId, const QString& markdown) {
  const bool sameRun = runId == m_run;
  if (!sameRun) save();
  if (sameRun && (m_text->document()->isModified() || markdown == m_known)) return;
  m_run = runId;
  m_known = markdown;
  // The cursor stays where it is when what comes back from the store is what was just typed.
  if (m_text->toPlainText() != markdown) m_text->setPlainText(markdown);
  m_text->document()->setModified(false);
  if (!sameRun || m_pages->currentWidget() == m_shown) preview();
}

void NoteEditor::save() {
  m_pause.stop();
  if (!m_text->document()->isModified()) return;
  m_text->document()->setModified(false);
  const QString typed = m_text->toPlainText();
  if (m_run.isEmpty() || typed == m_known) return;
  m_known = typed;
  Q_EMIT edited(m_run, typed);
}

}  // namespace rankscope::ui

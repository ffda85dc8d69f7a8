#include "ui/shell/help_dialog.h"

#include "rankscope_version.h"
#include "ui/theme/theme.h"

#include <QAction>
#include <QCoreApplication>
#include <QDialog>
#include <QDialogButtonBox>
#include <QFile>
#include <QPushButton>
#include <QTextBrowser>
#include <QVBoxLayout>

namespace rankscope::ui {

namespace {

QString tr(const char* text) { return QCoreApplication::translate("Help", text); }

// One window of text; not modal, so that it can stand beside what it explains.
void showText(QWidget* parent, const QString& title, const std::function<void(QTextBrowser*)>& fill, const QSize& size) {
  auto* dialog = new QDialog(parent);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  dialog->setWindowTitle(title);
  auto* layout = new QVBoxLayout(dialog);
  layout->setContentsMargins(0, 0, 0, space::kUnit);
  auto* text = new QTextBrowser(dialog);
  text->setProperty("role", QStringLiteral("plain"));
  text->setAccessibleName(title);
  text->setOpenExternalLinks(true);
  text->document()->setDocumentMargin(space::kPage);
  fill(text);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, dialog);
  buttons->setContentsMargins(0, 0, space::kWide, 0);
  QObject::connect(buttons, &QDialogButtonBox::rejected, dialog, &QDialog::close);
  layout->addWidget(text, 1);
  layout->addWidget(buttons);
  dialog->resize(size);
  dialog->show();
}

QString readText(const QString& file) {
  QFile in(file);
  return in.open(QIODevice::ReadOnly) ? QString::fromUtf8(in.readAll()) : QString();
}

}  // namespace

void HelpDialog::showPage(QWidget* parent, const QString& page) {
  const QString markdown = readText(QStringLiteral(":/rankscope/help/%1.md").arg(page));
  showText(parent, tr("Help"), [&](QTextBrowser* text) { text->setMarkdown(markdown); }, {680, 640});
}

void HelpDialog::showShortcuts(QWidget* parent, const QList<QAction*>& actions) {
  QString html = QStringLiteral("<h2>%1</h2><table cellspacing=0 cellpadding=3 width=\"100%\">").arg(tr("Keyboard shortcuts"));
  const auto row = [&html](const QString& keys, const QString& what) {
    html += QStringLiteral("<tr><td width=\"38%\"><b>%1</b></td><td>%2</td></tr>").arg(keys.toHtmlEscaped(), what.toHtmlEscaped());
  };
  for (const QAction* action : actions) {
    if (action->shortcut().isEmpty()) continue;
    QString text = action->text();
    row(action->shortcut().toString(QKeySequence::NativeText), text.remove(QLatin1Char('&')));
  }
  html += QStringLiteral("</table><h3>%1</h3><table cellspacing=0 cellpadding=3 width=\"100%\">").arg(tr("In a plot"));
  row(tr("Drag"), tr("Move the picture; on an axis, only along it"));
  row(tr("Shift + drag"), tr("Zoom into a box"));
  row(tr("Wheel, Ctrl + wheel"), tr("Zoom in x, in y, about the cursor"));
  row(tr("Double click, Home"), tr("Show everything"));
  row(tr("Backspace, Shift + Backspace"), tr("Zoom back, forward"));
  row(tr("Arrows, + and −"), tr("Move and zoom"));
  row(tr("Right click, Menu"), tr("Log axes, copy, export"));
  html += QStringLiteral("</table>");
  showText(parent, tr("Keyboard shortcuts"), [&](QTextBrowser* text) { text->setHtml(html); }, {560, 680});
}

void HelpDialog::showAbout(QWidget* parent) {
  const QString about = QStringLiteral(
                            "# Rankscope %1\n\n%2\n\n%3\n\n---\n\n%4")
                            .arg(QStringLiteral(RANKSCOPE_VERSION),
                                 tr("A workbench for low-rank fine-tuning: LoRA, RoRA, RefLoRA and full fine-tuning."),
                                 tr("Free software under the Apache License 2.0. Built with Qt %1 and LibTorch %2.")
                                     .arg(QLatin1String(qVersion()), QStringLiteral(RANKSCOPE_LIBTORCH_VERSION)),
                                 readText(QStringLiteral(":/rankscope/THIRD_PARTY.md")));
  showText(parent, tr("About Rankscope"), [&](QTextBrowser* text) { text->setMarkdown(about); }, {640, 620});
}

}  // namespace rankscope::ui

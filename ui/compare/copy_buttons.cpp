#include "ui/compare/copy_buttons.h"

#include "ui/theme/theme.h"

#include <QApplication>
#include <QBoxLayout>
#include <QClipboard>
#include <QToolButton>

namespace rankscope::ui {

void addCopyButtons(QWidget* parent, QBoxLayout* layout, std::function<TextTable()> table,
                    std::function<void(const QString&)> say) {
  struct Kind {
    QString name;
    QString (TextTable::*as)() const;
  };
  const QString copy = QApplication::translate("CopyButtons", "Copy as %1");
  for (const Kind& kind : {Kind{QStringLiteral("CSV"), &TextTable::toCsv}, Kind{QStringLiteral("Markdown"), &TextTable::toMarkdown},
                           Kind{QStringLiteral("LaTeX"), &TextTable::toLatex}}) {
    auto* button = new QToolButton(parent);
    button->setText(kind.name);
    button->setIcon(icon(QStringLiteral("copy")));
    button->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    button->setToolTip(copy.arg(kind.name));
    button->setAccessibleName(copy.arg(kind.name));
    QObject::connect(button, &QToolButton::clicked, parent, [table, say, kind] {
      const TextTable text = table();
      QApplication::clipboard()->setText((text.*kind.as)());
      say(QApplication::translate("CopyButtons", "%n row(s) copied as ", nullptr, static_cast<int>(text.rows.size())) + kind.name);
    });
    layout->addWidget(button);
  }
}

}  // namespace rankscope::ui

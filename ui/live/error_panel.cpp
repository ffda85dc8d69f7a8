#include "ui/live/error_panel.h"

#include <QClipboard>
#include <QGridLayout>
#include <QGuiApplication>
#include <QLabel>
#include <QLocale>
#include <QToolButton>

#include "ui/theme/theme.h"

namespace rankscope::ui {

ErrorPanel::ErrorPanel(QWidget* parent) : QFrame(parent) {
  setObjectName("errorPanel");
  setAccessibleName(tr("Why the run failed"));
  m_title = new QLabel;
  m_title->setObjectName("errorWhat");
  m_facts = new QLabel;
  m_hint = new QLabel;
  m_hint->setObjectName("errorHint");
  m_words = new QLabel;
  m_words->setFont(Theme::instance().monoFont());
  for (auto* label : {m_title, m_facts, m_hint, m_words}) {
    label->setWordWrap(true);
    label->setTextFormat(Qt::PlainText);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  }
  makeHeading(m_title);
  makeCaption(m_facts);
  m_copy = new QToolButton;
  m_copy->setObjectName("copyError");
  m_copy->setToolTip(tr("Copy this message"));
  m_copy->setAccessibleName(m_copy->toolTip());
  makeFlat(m_copy);
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(space::kWide, space::kUnit, space::kUnit, space::kUnit);
  grid->setVerticalSpacing(space::kHalf);
  grid->setColumnStretch(0, 1);
  grid->addWidget(m_title, 0, 0);
  grid->addWidget(m_copy, 0, 1, Qt::AlignTop);
  grid->addWidget(m_facts, 1, 0, 1, 2);
  grid->addWidget(m_hint, 2, 0, 1, 2);
  grid->addWidget(m_words, 3, 0, 1, 2);
  connect(m_copy, &QToolButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(m_copyText); });
  const auto colours = [this] {
    m_copy->setIcon(icon("copy"));
    setStyleSheet(QStringLiteral("#errorPanel{border:0;border-left:3px solid %1;background:%2} #errorWhat{color:%1}")
                      .arg(ui::palette().danger.name(), mixed(ui::palette().window, ui::palette().danger, 0.07).name()));
  };
  connect(&Theme::instance(), &Theme::changed, this, colours);
  colours();
  hide();
}

void ErrorPanel::setError(const Error& error, qint64 step, const QString& lastWords) {
  const auto text = [](const std::string& s) { return QString::fromStdString(s); };
  QString title = text(error.what);
  if (!title.isEmpty()) title[0] = title[0].toUpper();
  m_title->setText(step > 0 ? tr("%1 (step %2)").arg(title, QLocale().toString(step)) : title);
  QStringList facts;
  if (!error.where.empty()) facts << tr("Where: %1").arg(text(error.where));
  if (!error.found.empty()) facts << tr("Found: %1").arg(text(error.found));
  if (!error.expected.empty()) facts << tr("Expected: %1").arg(text(error.expected));
  m_facts->setText(facts.join(QStringLiteral("     ")));
  m_facts->setVisible(!facts.isEmpty());
  m_hint->setText(text(error.hint));
  m_hint->setVisible(!error.hint.empty());
  m_words->setText(lastWords);
  m_words->setVisible(!lastWords.isEmpty());
  m_copyText = QStringList{m_title->text(), facts.join('\n'), m_hint->text(), lastWords}.join('\n').trimmed();
  setAccessibleDescription(m_copyText);
  show();
}

void ErrorPanel::clear() {
  m_copyText.clear();
  hide();
}

}  // namespace rankscope::ui

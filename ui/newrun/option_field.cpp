#include "ui/newrun/option_field.h"

#include <QCheckBox>
#include <QComboBox>
#include <QEvent>
#include <QFileDialog>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QSignalBlocker>
#include <QToolButton>
#include <cmath>

#include "core/config/method_parts.h"
#include "ui/newrun/run_draft.h"
#include "ui/shell/error_text.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kTitleWidth = 168;
constexpr int kNumberWidth = 128;

// The value that stands for "nothing said" (0, "", [], a part of the method at auto) and what that means, beside the field.
QString unitText(const OptionSpec& option, const nlohmann::json& value, const RunConfig& config) {
  if (const auto part = partOfKey(option.key); part && value == "auto") {
    const auto parts = partsOf(config);
    for (const auto& choice : option.choices)
      if (parts && choice.value == (*parts).*part) return "= " + translatedOption(choice.title);
    return {};
  }
  const bool nothing = (value.is_number() && value.get<double>() == 0) || (value.is_string() && value.empty()) ||
                       ((value.is_array() || value.is_object()) && value.empty());
  if (nothing && !option.emptyMeans.empty()) return "= " + translatedOption(option.emptyMeans);
  return optionUnit(option);
}

}  // namespace

OptionField::OptionField(RunDraft* draft, const OptionSpec& option, QWidget* parent)
    : QWidget(parent), m_draft(draft), m_option(option) {
  setObjectName("field:" + key());
  m_title = new QLabel(optionTitle(option));
  m_title->setFixedWidth(space::scaled(kTitleWidth));
  m_title->setToolTip(key());
  m_unit = new QLabel;
  m_unit->setObjectName("unit:" + key());
  makeCaption(m_unit);
  m_unit->setWordWrap(true);  // what nothing stands for may be a sentence, and must not widen the form
  m_error = new QLabel;
  m_error->setObjectName("error:" + key());
  m_error->setProperty("role", "error");
  m_error->setWordWrap(true);
  m_error->hide();
  makeEditor();

  m_revert = new QToolButton;
  m_revert->setObjectName("revert:" + key());
  m_revert->setIcon(icon("undo"));
  m_revert->setAccessibleName(tr("Revert %1").arg(optionTitle(option)));
  makeFlat(m_revert);
  QSizePolicy keep = m_revert->sizePolicy();
  keep.setRetainSizeWhenHidden(true);
  m_revert->setSizePolicy(keep);

  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(0, 1, 0, 1);
  grid->setHorizontalSpacing(space::kUnit);
  grid->setVerticalSpacing(1);
  grid->addWidget(m_title, 0, 0, m_lines ? Qt::AlignTop : Qt::AlignVCenter);
  auto* row = new QHBoxLayout;
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(space::kUnit);
  const bool number = m_option.type == OptionType::Integer || m_option.type == OptionType::Real;
  row->addWidget(editor(), number || m_flag || m_choice ? 0 : 1);
  if (m_browse) row->addWidget(m_browse);
  row->addWidget(m_unit);
  if (number || m_flag || m_choice) row->addStretch(1);
  grid->addLayout(row, 0, 1);
  grid->addWidget(m_revert, 0, 2, Qt::AlignTop);
  grid->addWidget(m_error, 1, 1, 1, 2);
  grid->setColumnStretch(1, 1);

  QWidget* edit = editor();
  edit->setObjectName("edit:" + key());
  edit->setAccessibleName(optionTitle(option));
  QString help = optionHelp(option);
  if (!option.paper.empty()) help += "\n" + translatedOption(option.paper);
  edit->setAccessibleDescription(help);
  edit->setToolTip(help + "\n" + tr("Allowed: %1").arg(QString::fromStdString(allowedText(option))) + "\n" + key());
  edit->installEventFilter(this);
  m_title->setBuddy(edit);
  connect(m_revert, &QToolButton::clicked, this, [this] {
    editor()->setFocus();
    if (m_draft) m_draft->revert(key());
  });
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    m_revert->setIcon(icon("undo"));
    refresh();
  });
  refresh();
}

void OptionField::makeEditor() {
  switch (m_option.type) {
    case OptionType::Flag:
      m_flag = new QCheckBox;
      connect(m_flag, &QCheckBox::toggled, this, [this](bool on) { m_draft->set(key(), on); });
      return;
    case OptionType::Choice:
      m_choice = new QComboBox;
      for (const auto& choice : m_option.choices) {
        m_choice->addItem(translatedOption(choice.title), QString::fromStdString(choice.value));
        m_choice->setItemData(m_choice->count() - 1, translatedOption(choice.help), Qt::ToolTipRole);
      }
      m_choice->setMinimumWidth(space::scaled(kNumberWidth));
      m_choice->setSizeAdjustPolicy(QComboBox::AdjustToContents);
      m_choice->setFocusPolicy(Qt::StrongFocus);
      connect(m_choice, &QComboBox::activated, this,
              [this](int at) { m_draft->set(key(), m_choice->itemData(at).toString().toStdString()); });
      return;
    case OptionType::LongText:
      m_lines = new QPlainTextEdit;
      m_lines->setTabChangesFocus(true);
      m_lines->setFixedHeight(3 * space::rowHeight());
      connect(m_lines, &QPlainTextEdit::textChanged, this,
              [this] { m_draft->setText(key(), m_lines->toPlainText()); });
      return;
    default: break;
  }
  m_line = new QLineEdit;
  if (m_option.type == OptionType::Integer || m_option.type == OptionType::Real) {
    m_line->setAlignment(Qt::AlignRight);
    m_line->setFixedWidth(space::scaled(kNumberWidth));
    m_line->setFont(Theme::tabular(m_line->font()));
  }
  if (m_option.type == OptionType::Path) {
    m_browse = new QToolButton;
    m_browse->setIcon(icon("folder"));
    m_browse->setAccessibleName(tr("Choose %1").arg(optionTitle(m_option)));
    m_browse->setToolTip(m_browse->accessibleName());
    connect(m_browse, &QToolButton::clicked, this, &OptionField::browse);
  }
  // Checked on every keystroke, so that the mistake and the consequences are seen while typing.
  connect(m_line, &QLineEdit::textEdited, this, [this](const QString& typed) { m_draft->setText(key(), typed); });
  connect(m_line, &QLineEdit::editingFinished, this, [this] {
    if (m_draft && problem().isEmpty()) m_line->setText(m_draft->text(key()));
  });
}

QWidget* OptionField::editor() const {
  if (m_line) return m_line;
  if (m_choice) return m_choice;
  if (m_flag) return m_flag;
  return m_lines;
}

void OptionField::setEditorText(const QString& text) {
  if (m_line && m_line->text() != text && !(m_line->hasFocus() && m_line->isModified())) {
    m_line->setText(text);
  } else if (m_line && m_line->hasFocus() && m_line->isModified() && m_line->text().trimmed() != text) {
    // Undo or revert changed the value under the cursor; typing itself always agrees with the draft.
    RunConfig scratch = m_draft->config();
    const bool same = scratch.setText(m_option.key, m_line->text().trimmed().toStdString()).ok() &&
                      scratch.value(m_option.key) == m_draft->config().value(m_option.key);
    if (!same && !m_line->text().trimmed().isEmpty()) m_line->setText(text);
  } else if (m_lines && m_lines->toPlainText() != text) {
    const QSignalBlocker quiet(m_lines);
    m_lines->setPlainText(text);
  }
}

void OptionField::refresh() {
  if (!m_draft) return;
  const auto value = m_draft->config().value(m_option.key);
  if (m_flag) {
    const QSignalBlocker quiet(m_flag);
    m_flag->setChecked(value.is_boolean() && value.get<bool>());
  } else if (m_choice) {
    const QSignalBlocker quiet(m_choice);
    m_choice->setCurrentIndex(m_choice->findData(m_draft->text(key())));
  } else {
    const bool plain = m_option.type == OptionType::Text || m_option.type == OptionType::LongText ||
                       m_option.type == OptionType::Path;
    setEditorText(plain && value.is_string() ? QString::fromStdString(value.get<std::string>()) : m_draft->text(key()));
  }
  m_unit->setText(unitText(m_option, value, m_draft->config()));
  const bool changed = m_draft->isChanged(key());
  makeChanged(editor(), changed);
  m_revert->setVisible(changed);
  const auto was = QString::fromStdString(m_draft->base().valueText(m_option.key));
  m_revert->setToolTip(tr("Back to %1").arg(was.isEmpty() ? tr("nothing") : was));
  const QString mistake = problem();
  makeInvalid(editor(), !mistake.isEmpty());
  m_error->setText(mistake);
  m_error->setVisible(!mistake.isEmpty());
}

QString OptionField::problem() const {
  QStringList texts;
  for (const auto* issue : m_draft->issuesOf(key())) texts << errorText(issue->error);
  return texts.join('\n');
}

bool OptionField::matches(const QStringList& words) const {
  QString all = key() + ' ' + optionTitle(m_option) + ' ' + optionHelp(m_option) + ' ' +
                QString::fromStdString(m_option.paper);
  for (const auto& choice : m_option.choices) all += ' ' + translatedOption(choice.title);
  return std::all_of(words.begin(), words.end(),
                     [&all](const QString& word) { return all.contains(word, Qt::CaseInsensitive); });
}

void OptionField::step(int direction, bool large) {
  const auto value = m_draft->config().value(m_option.key);
  if (!value.is_number()) return;
  double next = value.get<double>();
  if (m_option.type == OptionType::Integer) {
    next = m_option.logScale ? (direction > 0 ? std::max(1.0, next * 2) : std::floor(next / 2))
                             : next + direction * (large ? 10 : 1);
    if (m_option.min) next = std::max(next, *m_option.min);
    if (m_option.max) next = std::min(next, *m_option.max);
    m_line->setModified(false);
    m_draft->set(key(), static_cast<int64_t>(next));
    return;
  }
  if (m_option.logScale && next > 0) {
    // 1, 2, 5, 10: the steps of a learning-rate sweep.
    const double decade = std::pow(10.0, std::floor(std::log10(next) + 1e-9));
    const double lead = next / decade;
    if (direction > 0) {
      next = decade * (lead < 1.999 ? 2 : lead < 4.999 ? 5 : 10);
    } else {
      next = lead > 5.001 ? 5 * decade : lead > 2.001 ? 2 * decade : lead > 1.001 ? decade : decade / 2;
    }
  } else {
    const double width = m_option.max && m_option.min ? (*m_option.max - *m_option.min) / 100 : 0.1;
    const double unit = std::pow(10.0, std::round(std::log10(width)));
    next = std::round((next + direction * unit * (large ? 10 : 1)) / unit) * unit;
  }
  if (m_option.min && (m_option.minOpen ? next <= *m_option.min : next < *m_option.min)) return;
  if (m_option.max && (m_option.maxOpen ? next >= *m_option.max : next > *m_option.max)) return;
  m_line->setModified(false);
  m_draft->set(key(), std::stod(QString::number(next, 'g', 12).toStdString()));
}

void OptionField::browse() {
  const bool images = m_draft->config().str("data.task") == "image_classification";
  const bool folder = m_option.key == "model.path" || images;
  const QString chosen = folder ? QFileDialog::getExistingDirectory(this, optionTitle(m_option))
                                : QFileDialog::getOpenFileName(this, optionTitle(m_option));
  if (!chosen.isEmpty()) m_draft->setText(key(), chosen);
}

bool OptionField::eventFilter(QObject* watched, QEvent* event) {
  if (watched == editor()) {
    if (event->type() == QEvent::FocusIn) Q_EMIT focused(this);
    // A form scrolls under the wheel; values must not turn by accident.
    if (event->type() == QEvent::Wheel && m_choice) {
      event->ignore();
      return true;
    }
    const bool number = m_option.type == OptionType::Integer || m_option.type == OptionType::Real;
    if (event->type() == QEvent::KeyPress && m_line && number) {
      const auto* press = static_cast<QKeyEvent*>(event);
      if (press->key() == Qt::Key_Up || press->key() == Qt::Key_Down) {
        step(press->key() == Qt::Key_Up ? 1 : -1, press->modifiers() & Qt::ShiftModifier);
        return true;
      }
    }
  }
  return QWidget::eventFilter(watched, event);
}

}  // namespace rankscope::ui

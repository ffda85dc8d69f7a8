#include "ui/newrun/twin_dialog.h"

#include <QCheckBox>
#include <QDialogButtonBox>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QVBoxLayout>
#include <algorithm>

#include "core/config/method_parts.h"
#include "ui/newrun/answers.h"
#include "ui/newrun/run_draft.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {

RunConfig twinOf(const RunConfig& config, const std::string& method) {
  RunConfig twin = config;
  (void)twin.set("method.name", method);
  twin.dropInapplicable();
  if (const auto name = config.str("name"); !name.empty()) (void)twin.set("name", name + " (" + method + ")");
  return twin;
}

TwinDialog::TwinDialog(const RunConfig& config, QWidget* parent) : QDialog(parent), m_config(config) {
  setWindowTitle(tr("Twins of this run"));
  setObjectName("twinDialog");
  const QLocale locale;
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(space::kPage, space::kWide, space::kPage, space::kWide);
  column->setSpacing(space::kUnit);
  const QString length = config.integer("train.max_steps") > 0
                             ? tr("%1 steps").arg(locale.toString(qlonglong(config.integer("train.max_steps"))))
                             : tr("%1 epochs").arg(locale.toString(config.real("train.epochs"), 'g', 4));
  auto* intro = new QLabel(tr("The same run once more with each of these methods. Seed %1, the order of the data, batch size, "
                              "learning rate %2 and %3 stay as they are.")
                               .arg(config.integer("seed"))
                               .arg(learningRateText(config), length));
  intro->setWordWrap(true);
  intro->setMinimumWidth(420);
  column->addWidget(intro);
  const std::string own = config.str("method.name");
  for (const auto& choice : findOption("method.name")->choices) {
    if (choice.value == own) continue;
    auto* box = new QCheckBox(translatedOption(choice.title));
    box->setObjectName("twin:" + QString::fromStdString(choice.value));
    const auto& usual = usualTwins();
    box->setChecked(std::find(usual.begin(), usual.end(), choice.value) != usual.end());
    auto* help = new QLabel;
    QString text = translatedOption(choice.help);
    const RunConfig twin = twinOf(config, choice.value);
    if (const auto scale = effectiveScale(twin)) {
      text += tr(" (scale %1)").arg(locale.toString(*scale, 'g', 4));
    }
    help->setText(text);
    help->setIndent(24);
    makeCaption(help);
    box->setAccessibleDescription(text);
    column->addWidget(box);
    column->addWidget(help);
    connect(box, &QCheckBox::toggled, this, &TwinDialog::update);
    m_methods.emplace_back(choice.value, box);
  }
  m_self = new QCheckBox(tr("And this run itself (%1)").arg(methodTitle(QString::fromStdString(own))));
  m_self->setObjectName("twin:self");
  m_self->setChecked(true);
  column->addSpacing(space::kHalf);
  column->addWidget(m_self);
  column->addStretch(1);
  m_buttons = new QDialogButtonBox(QDialogButtonBox::Ok | QDialogButtonBox::Cancel);
  makePrimary(m_buttons->button(QDialogButtonBox::Ok));
  column->addWidget(m_buttons);
  connect(m_self, &QCheckBox::toggled, this, &TwinDialog::update);
  connect(m_buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
  connect(m_buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  update();
}

void TwinDialog::update() {
  const int count = static_cast<int>(chosen().size());
  auto* ok = m_buttons->button(QDialogButtonBox::Ok);
  ok->setText(tr("Add %n run(s) to the queue", nullptr, count));
  ok->setEnabled(count > 0);
}

std::vector<RunConfig> TwinDialog::chosen() const {
  std::vector<RunConfig> runs;
  if (m_self->isChecked()) runs.push_back(m_config);
  for (const auto& [method, box] : m_methods) {
    if (box->isChecked()) runs.push_back(twinOf(m_config, method));
  }
  return runs;
}

}  // namespace rankscope::ui

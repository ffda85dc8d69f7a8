#include "ui/newrun/parent_bar.h"

#include <QHBoxLayout>
#include <QJsonObject>
#include <QLabel>
#include <QPushButton>

#include "ui/newrun/run_draft.h"
#include "ui/shell/settings.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

const QString kKey = QStringLiteral("newrun.parent");

}  // namespace

ParentBar::ParentBar(Settings& settings, QWidget* parent) : QFrame(parent), m_settings(settings) {
  setObjectName(QStringLiteral("parentBar"));
  setProperty("role", QStringLiteral("bar"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(space::kWide, space::kHalf, space::kWide, space::kHalf);
  row->setSpacing(space::kUnit);
  auto* mark = new QLabel;
  const auto paint = [mark] {
    mark->setPixmap(iconPixmap(QStringLiteral("branch"), colours().accent, space::kIcon, mark->devicePixelRatioF()));
  };
  paint();
  connect(&Theme::instance(), &Theme::changed, mark, paint);
  m_text = new QLabel;
  m_text->setObjectName(QStringLiteral("parentText"));
  m_text->setTextFormat(Qt::PlainText);
  auto* leave = new QPushButton(tr("Start from the base model instead"));
  leave->setObjectName(QStringLiteral("leaveParent"));
  makeFlat(leave);
  row->addWidget(mark);
  row->addWidget(m_text, 1);
  row->addWidget(leave);
  connect(leave, &QPushButton::clicked, this, &ParentBar::clear);
  const QJsonObject stored = m_settings.value(kKey).toObject();
  m_id = stored.value(QStringLiteral("run")).toString();
  m_name = stored.value(QStringLiteral("name")).toString();
  m_config = RunConfig::read(fromQt(stored.value(QStringLiteral("config")))).config;
  refresh();
}

void ParentBar::setRun(const QString& id, const QString& name, const RunConfig& config) {
  m_id = id;
  m_name = name;
  m_config = config;
  m_settings.setValue(kKey, QJsonObject{{QStringLiteral("run"), id}, {QStringLiteral("name"), name},
                                        {QStringLiteral("config"), toQt(config.toJson())}});
  refresh();
}

void ParentBar::clear() {
  if (m_id.isEmpty()) return;
  m_id.clear();
  m_settings.remove(kKey);
  refresh();
}

void ParentBar::refresh() {
  m_text->setText(tr("Goes on from the newest checkpoint of “%1”: its weights, optimizer and step. Method and rank stay as they are.").arg(m_name));
  setVisible(!m_id.isEmpty());
  Q_EMIT changed();
}

QString ParentBar::commandLine(const RunConfig& config) const {
  if (m_id.isEmpty()) return {};
  QString text = QStringLiteral("rankscope-train branch ") + m_id.left(8);
  for (const std::string& assignment : assignments(m_config, config))
    text += QStringLiteral(" --set ") + QString::fromStdString(shellQuote(assignment));
  return text;
}

}  // namespace rankscope::ui

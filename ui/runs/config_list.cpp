#include "ui/runs/config_list.h"

#include "core/config/option_spec.h"
#include "ui/theme/theme.h"

#include <QCheckBox>
#include <QHeaderView>
#include <QTreeWidget>
#include <QVBoxLayout>

namespace rankscope::ui {

namespace {

QString qs(const std::string& text) { return QString::fromStdString(text); }

// "a.b" -> value, for every leaf of a nested document.
void flatten(const nlohmann::json& node, const std::string& prefix, std::map<std::string, nlohmann::json>& out) {
  if (!node.is_object()) {
    out[prefix] = node;
    return;
  }
  for (const auto& [key, value] : node.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    if (findOption(path))
      out[path] = value;
    else
      flatten(value, path, out);
  }
}

QString valueText(const nlohmann::json& value) {
  if (value.is_string()) return qs(value.get<std::string>());
  if (value.is_boolean()) return value.get<bool>() ? ConfigList::tr("yes") : ConfigList::tr("no");
  if (value.is_array()) {
    QStringList parts;
    for (const auto& item : value) parts << valueText(item);
    return parts.join(QStringLiteral(", "));
  }
  return qs(value.dump());
}

}  // namespace

ConfigList::ConfigList(QWidget* parent) : QWidget(parent) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  m_onlySet = new QCheckBox(tr("Only what differs from the defaults"), this);
  m_onlySet->setChecked(true);
  m_onlySet->setStyleSheet(QStringLiteral("margin: 6px 8px;"));
  connect(m_onlySet, &QCheckBox::toggled, this, &ConfigList::fill);
  m_tree = new QTreeWidget(this);
  m_tree->setAccessibleName(tr("Configuration"));
  m_tree->setColumnCount(2);
  m_tree->setHeaderLabels({tr("Option"), tr("Value")});
  m_tree->setRootIsDecorated(false);
  m_tree->setFrameShape(QFrame::NoFrame);
  m_tree->setUniformRowHeights(true);
  m_tree->header()->setDefaultSectionSize(150);
  layout->addWidget(m_onlySet);
  layout->addWidget(m_tree, 1);
}

void ConfigList::setConfig(nlohmann::json config) {
  if (config == m_config) return;
  m_config = std::move(config);
  fill();
}

void ConfigList::fill() {
  m_tree->clear();
  if (!m_config.is_object()) return;
  std::map<std::string, nlohmann::json> leaves;
  flatten(m_config, {}, leaves);
  for (const auto& [key, value] : leaves) {
    if (key == "version") continue;
    const OptionSpec* option = findOption(key);
    const bool isDefault = option && option->defaultValue == value;
    if (m_onlySet->isChecked() && isDefault) continue;
    auto* item = new QTreeWidgetItem(m_tree, {qs(key), valueText(value)});
    item->setToolTip(0, option ? qs(option->title) + QStringLiteral(": ") + qs(option->help) : qs(key));
    item->setToolTip(1, valueText(value));
    if (isDefault)
      for (int column : {0, 1}) item->setForeground(column, colours().textMuted);
  }
  // Wide enough for the longest key, but not at the cost of every value.
  m_tree->resizeColumnToContents(0);
  m_tree->setColumnWidth(0, std::min(m_tree->columnWidth(0), m_tree->width() * 3 / 5));
}

}  // namespace rankscope::ui

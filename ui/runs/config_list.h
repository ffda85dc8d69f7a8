#pragma once
// The whole configuration of a run as key and value, or only what differs from the defaults. GUI thread.

#include <QWidget>

#include <nlohmann/json.hpp>

class QCheckBox;
class QTreeWidget;

namespace rankscope::ui {

class ConfigList : public QWidget {
  Q_OBJECT
 public:
  explicit ConfigList(QWidget* parent = nullptr);
  void setConfig(nlohmann::json config);  // null: nothing

 private:
  void fill();

  nlohmann::json m_config;
  QCheckBox* m_onlySet;
  QTreeWidget* m_tree;
};

}  // namespace rankscope::ui

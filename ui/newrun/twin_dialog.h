#pragma once
// Chooses with which other methods the same run is queued: same seed, data order and budget, only the method differs.
// GUI thread.

#include <QDialog>
#include <vector>

#include "core/config/run_config.h"

class QCheckBox;
class QDialogButtonBox;

namespace rankscope::ui {

// The run with another method and nothing else changed: options that do not apply to it are dropped, its own start from
// their defaults. A name that was given gets the method's behind it.
RunConfig twinOf(const RunConfig& config, const std::string& method);

class TwinDialog : public QDialog {
  Q_OBJECT

 public:
  explicit TwinDialog(const RunConfig& config, QWidget* parent = nullptr);
  // The twins chosen, and first the run itself when it was asked for.
  std::vector<RunConfig> chosen() const;

 private:
  void update();

  RunConfig m_config;
  QCheckBox* m_self;
  std::vector<std::pair<std::string, QCheckBox*>> m_methods;
  QDialogButtonBox* m_buttons;
};

}  // namespace rankscope::ui

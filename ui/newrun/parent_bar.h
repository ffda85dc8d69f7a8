#pragma once
// The run that a draft goes on from, where it does: a line under the presets that names it and lets go of it. Without one
// a run starts from the base model. Remembered with the draft. GUI thread.

#include <QFrame>

#include "core/config/run_config.h"

class QLabel;

namespace rankscope::ui {

class Settings;

class ParentBar : public QFrame {
  Q_OBJECT

 public:
  explicit ParentBar(Settings& settings, QWidget* parent = nullptr);
  void setRun(const QString& id, const QString& name, const RunConfig& config);
  void clear();
  const QString& runId() const { return m_id; }  // empty: none
  const RunConfig& config() const { return m_config; }
  // "rankscope-train branch …" for this config; empty without a run.
  QString commandLine(const RunConfig& config) const;

 Q_SIGNALS:
  void changed();

 private:
  void refresh();

  Settings& m_settings;
  QString m_id, m_name;
  RunConfig m_config;
  QLabel* m_text;
};

}  // namespace rankscope::ui

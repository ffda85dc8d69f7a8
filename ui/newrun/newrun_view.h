#pragma once
// New run: "what will happen if I press Start?" Puts the draft, the pickers and the consequences together, asks the
// helper (scan, inspect, preview, estimate, validate, check; newest wins), and starts or queues the run. The draft is
// handed to Settings at every change and so survives a crash. GUI thread; file work goes to worker threads.

#include <QTimer>

#include "core/config/places.h"
#include "core/config/preset.h"
#include "core/store/job_types.h"
#include "ui/newrun/answers.h"
#include "ui/shell/view.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QScrollArea;
class QSplitter;
class QStackedWidget;
class QToolButton;

namespace rankscope::ui {

class ConsequencesPanel;
class DataPage;
class MethodPage;
class ModelPage;
class OptionField;
class OptionForm;
class ParentBar;
class RunDraft;
class StepRail;

class NewRunView : public View {
  Q_OBJECT

 public:
  explicit NewRunView(ViewContext& context, QWidget* parent = nullptr);
  ~NewRunView() override;

  void onActivated() override;
  // {"preset": name} or {"config": {…}} puts a draft on the page, {"model": path} that model into it (undoable).
  // {"config", "branch": run, "name"}: the new run goes on from that one.
  void open(const QJsonObject& request) override;
  QJsonObject saveState() const override;
  void restoreState(const QJsonObject& state) override;

  RunDraft* draft() const { return m_draft; }
  StepRail* rail() const { return m_rail; }
  ConsequencesPanel* consequences() const { return m_consequences; }

 private:
  void buildTop();
  void buildPages();
  void showPage(const QString& id);
  void goTo(const QString& key);
  void showHelp(OptionField* field);
  void refreshRail();
  void edited();

  void loadPresetList();
  void choosePreset(int index);
  void savePreset();
  void deletePreset();
  void fillPresetBox();

  void scanModels();
  void addModelFolder();
  void inspectModel();
  void inspectData();
  void askConsequences();  // estimate, preview, validate
  void runCheck();
  void start();
  QStringList startWords(const QString& file, const QString& run) const;
  void queueRuns(const std::vector<RunConfig>& runs);
  void queueBranch();
  void queued(const Result<std::vector<Job>>& added, int count);
  void twins();
  void failed(const QString& what, const Error& error);

  RunDraft* m_draft;
  Places m_places;
  PresetList m_presets;
  QString m_pendingPreset;
  bool m_restored = false;

  QLineEdit* m_name = nullptr;
  QComboBox* m_preset = nullptr;
  QToolButton* m_presetMenu = nullptr;
  QLineEdit* m_search = nullptr;
  QLabel* m_help = nullptr;
  QSplitter* m_split = nullptr;
  StepRail* m_rail = nullptr;
  QStackedWidget* m_stack = nullptr;
  ModelPage* m_modelPage = nullptr;
  DataPage* m_dataPage = nullptr;
  MethodPage* m_methodPage = nullptr;
  OptionForm* m_training = nullptr;
  OptionForm* m_run = nullptr;
  OptionForm* m_changed = nullptr;
  OptionForm* m_found = nullptr;
  QHash<QString, QWidget*> m_pages;
  ConsequencesPanel* m_consequences = nullptr;
  ParentBar* m_parent = nullptr;

  QTimer m_ask;  // a moment after the last keystroke
  std::string m_inspectedModel, m_inspectedData, m_checkedConfig;
  quint64 m_checkRequest = 0;
  QString m_modelLine, m_dataLine;
};

}  // namespace rankscope::ui

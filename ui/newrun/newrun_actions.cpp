// The parts of NewRunView that reach outside: presets on disk and questions to the helper.
#include <QComboBox>
#include <QFileDialog>
#include <QInputDialog>
#include <QLineEdit>
#include <QMessageBox>
#include <QStandardItemModel>
#include <QUndoStack>
#include <QtConcurrent>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/runlog/run_folder.h"
#include "ui/library/model_folders.h"
#include "ui/newrun/consequences_panel.h"
#include "ui/newrun/data_page.h"
#include "ui/newrun/method_page.h"
#include "ui/newrun/model_page.h"
#include "ui/newrun/newrun_view.h"
#include "ui/newrun/parent_bar.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/site_table_model.h"
#include "ui/newrun/sites_panel.h"
#include "ui/newrun/step_rail.h"
#include "ui/shell/error_text.h"
#include "ui/shell/format.h"
#include "ui/shell/settings.h"
#include "ui/shell/trainer_client.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kPreviewRows = 24;

}  // namespace

// --- presets -----------------------------------------------------------------------------------------------------

void NewRunView::loadPresetList() {
  QtConcurrent::run([places = m_places] { return loadPresets(places); })
      .then(this, [this](const PresetList& list) {
        m_presets = list;
        fillPresetBox();
        if (!list.problems.empty()) Q_EMIT statusMessage(errorText(list.problems.front()));
        if (!m_pendingPreset.isEmpty()) {
          if (const auto* preset = m_presets.find(m_pendingPreset.toStdString())) {
            m_draft->startFrom(m_pendingPreset, preset->config);
          } else {
            Q_EMIT statusMessage(tr("There is no preset “%1”.").arg(m_pendingPreset));
          }
          m_pendingPreset.clear();
        } else if (!m_restored && !m_presets.presets.empty()) {
          // First launch: a preset is ready to start, no questions asked.
          const auto* first = m_presets.find("starter-reviews");
          if (!first) first = &m_presets.presets.front();
          m_draft->startFrom(QString::fromStdString(first->name), first->config);
          if (context().undo) context().undo->clear();
        }
        m_restored = true;
      });
}

void NewRunView::fillPresetBox() {
  const QSignalBlocker quiet(m_preset);
  m_preset->clear();
  auto* items = qobject_cast<QStandardItemModel*>(m_preset->model());
  const auto heading = [&](const QString& text) {
    m_preset->addItem(text);
    auto* item = items->item(m_preset->count() - 1);
    item->setFlags(Qt::NoItemFlags);
    item->setFont(Theme::instance().smallFont());
  };
  m_preset->addItem(tr("Defaults"), QString());
  for (const bool user : {false, true}) {
    bool any = false;
    for (const auto& preset : m_presets.presets) {
      if (preset.user != user) continue;
      if (!any) heading(user ? tr("Mine") : tr("System"));
      any = true;
      const auto name = QString::fromStdString(preset.name);
      m_preset->addItem(translatedOption(preset.title.empty() ? preset.name : preset.title), name);
      m_preset->setItemData(m_preset->count() - 1, QString::fromStdString(preset.help), Qt::ToolTipRole);
    }
  }
  int at = m_preset->findData(m_draft->presetName());
  if (at < 0) {  // its file is gone; what it set is still in the draft
    m_preset->addItem(tr("%1 (no longer there)").arg(m_draft->presetName()), m_draft->presetName());
    at = m_preset->count() - 1;
  }
  const auto changes = m_draft->changedKeys().size();
  if (changes > 0) {
    m_preset->setItemText(at, m_preset->itemText(at) + tr(", %n changed", nullptr, static_cast<int>(changes)));
  }
  m_preset->setCurrentIndex(at);
  const auto* preset = m_presets.find(m_draft->presetName().toStdString());
  m_preset->setToolTip(preset ? QString::fromStdString(preset->help) : tr("Every option at its default"));
}

void NewRunView::choosePreset(int index) {
  m_parent->clear();  // a preset begins anew
  const auto name = m_preset->itemData(index).toString();
  if (name.isEmpty()) {
    m_draft->startFrom({}, RunConfig());
  } else if (const auto* preset = m_presets.find(name.toStdString())) {
    m_draft->startFrom(name, preset->config);
  }
}

void NewRunView::savePreset() {
  const auto* current = m_presets.find(m_draft->presetName().toStdString());
  bool ok = false;
  const auto title = QInputDialog::getText(this, tr("Save as preset"), tr("Name of the preset"), QLineEdit::Normal,
                                           current && current->user ? QString::fromStdString(current->title) : QString(), &ok)
                         .trimmed();
  if (!ok || title.isEmpty()) return;
  Preset preset;
  preset.title = title.toStdString();
  preset.base = current && !current->user ? current->name : current ? current->base : std::string();
  if (current && current->user && current->title == preset.title) preset.name = current->name;
  preset.config = m_draft->config();
  preset.user = true;
  QtConcurrent::run([places = m_places, preset] { return saveUserPreset(places, preset); })
      .then(this, [this](const Result<Preset>& saved) {
        if (!saved.ok()) {
          failed(tr("The preset was not saved"), saved.error());
          return;
        }
        m_draft->rebase(QString::fromStdString(saved->name), saved->config);
        Q_EMIT statusMessage(tr("Saved as “%1”.").arg(QString::fromStdString(saved->title)));
        loadPresetList();
      });
}

void NewRunView::deletePreset() {
  const auto* preset = m_presets.find(m_draft->presetName().toStdString());
  if (!preset || !preset->user) return;
  const auto answer = QMessageBox::question(this, tr("Delete preset"),
                                            tr("Delete the preset “%1”? What it set stays in this draft.")
                                                .arg(QString::fromStdString(preset->title)),
                                            QMessageBox::Yes | QMessageBox::Cancel, QMessageBox::Cancel);
  if (answer != QMessageBox::Yes) return;
  QtConcurrent::run([places = m_places, name = preset->name] { return deleteUserPreset(places, name); })
      .then(this, [this](const Result<void>& done) {
        if (!done.ok()) {
          failed(tr("The preset was not deleted"), done.error());
          return;
        }
        m_draft->rebase({}, RunConfig());
        loadPresetList();
      });
}

// --- questions to the helper -----------------------------------------------------------------------------------------

void NewRunView::scanModels() {
  m_modelPage->setScanning(true);
  const QStringList folders = modelFolders(m_places, settings());
  trainer().request(this, "models.scan", scanQuestion(m_places, settings()), [this, folders](Result<nlohmann::json> answer) {
    if (!answer.ok()) {
      m_modelPage->setScanFailed(errorText(answer.error()));
      return;
    }
    m_modelPage->setModels(readModelCards(*answer), folders);
  }, "newrun.scan");
}

void NewRunView::addModelFolder() {
  const auto folder = QFileDialog::getExistingDirectory(this, tr("Folder with models"));
  if (folder.isEmpty()) return;
  ui::addModelFolder(settings(), folder);
  scanModels();
}

void NewRunView::inspectModel() {
  const auto path = m_draft->config().str("model.path");
  if (path == m_inspectedModel) return;
  m_inspectedModel = path;
  m_modelLine.clear();
  if (path.empty()) {
    m_methodPage->sites()->clearModel(tr("Choose a model to see its matrices."));
    m_methodPage->setFullRank(0);
    return;
  }
  m_methodPage->sites()->clearModel(tr("Reading the model's headers…"));
  trainer().request(this, "model.inspect", {{"path", path}}, [this](Result<nlohmann::json> answer) {
    if (!answer.ok()) {
      m_methodPage->sites()->clearModel(errorText(answer.error()));
      m_methodPage->setFullRank(0);
      m_draft->setOutsideIssues("model", {{"model.path", answer.error()}});
      return;
    }
    const auto details = readModelDetails(*answer);
    m_draft->setOutsideIssues("model", {});
    m_modelLine = tr("%1, %2").arg(details.card.name, formatCompact(details.card.parameters));
    m_consequences->setModelName(details.card.name);
    m_methodPage->sites()->setModel(details);
    qint64 full = 0;
    for (const auto& site : details.sites) full = std::max<qint64>(full, std::min(site.out, site.in));
    m_methodPage->setFullRank(full);
    refreshRail();
  }, "newrun.model");
}

void NewRunView::inspectData() {
  const auto& config = m_draft->config();
  const auto path = config.str("data.train");
  const nlohmann::json question{{"path", path}, {"format", config.str("data.format")}, {"header", config.str("data.header")},
                                {"task", config.str("data.task")}};
  if (question.dump() == m_inspectedData) return;
  m_inspectedData = question.dump();
  m_dataLine.clear();
  if (path.empty()) {
    m_dataPage->setDetailsFailed({});
    return;
  }
  trainer().request(this, "data.inspect", question, [this, path](Result<nlohmann::json> answer) {
    if (!answer.ok()) {
      m_dataPage->setDetailsFailed({});
      m_draft->setOutsideIssues("data", {{"data.train", answer.error()}});
      return;
    }
    const auto details = readDataDetails(*answer);
    m_draft->setOutsideIssues("data", {});
    m_dataLine = tr("%1, %2 rows").arg(QString::fromStdString(path).section('/', -1), formatInteger(details.rows));
    m_dataPage->setDetails(details);
    refreshRail();
  }, "newrun.data");
}

void NewRunView::askConsequences() {
  const auto& config = m_draft->config();
  const nlohmann::json document = config.toJson();
  const bool chosen = !config.str("model.path").empty() && !config.str("data.train").empty();
  trainer().request(this, "validate", {{"config", document}}, [this](Result<nlohmann::json> answer) {
    if (answer.ok()) m_draft->setOutsideIssues("helper", readIssues(*answer));
  }, "newrun.validate");
  if (!chosen) {
    m_consequences->setEstimateFailed({});
    m_methodPage->setEstimate(std::nullopt);
    m_consequences->setRows(0);
    m_dataPage->setPreviewFailed(tr("Choose a model and a data file to see the first rows as the model will read them."));
    return;
  }
  trainer().request(this, "estimate", {{"config", document}}, [this](Result<nlohmann::json> answer) {
    if (answer.ok()) {
      const RunEstimate estimate = readEstimate(*answer);
      m_consequences->setEstimate(estimate);
      m_methodPage->setEstimate(estimate);
    } else {
      m_methodPage->setEstimate(std::nullopt);
      m_consequences->setEstimateFailed(errorText(answer.error()));
    }
  }, "newrun.estimate");
  m_dataPage->setPreviewPending();
  trainer().request(this, "data.preview", {{"config", document}, {"rows", kPreviewRows}}, [this](Result<nlohmann::json> answer) {
    if (!answer.ok()) {
      m_dataPage->setPreviewFailed(errorText(answer.error()));
      m_consequences->setRows(0);
      return;
    }
    const auto preview = readDataPreview(*answer);
    m_dataPage->setPreview(preview);
    m_consequences->setRows(preview.trainRows);
  }, "newrun.preview", [this](const nlohmann::json& progress) {
    const auto what = progress.is_object() ? progress.value("what", std::string()) : std::string();
    const double share = progress.is_object() ? progress.value("share", 0.0) : 0.0;
    m_dataPage->setPreviewPending(QString::fromStdString(what), share);
  });
}

void NewRunView::runCheck() {
  if (!m_draft->valid() || m_checkRequest != 0) return;
  m_consequences->setChecking(true);
  const auto document = m_draft->config().toJson();
  const auto asked = jsonText(document);
  m_checkRequest = trainer().request(
      this, "check", {{"config", document}},
      [this, asked](Result<nlohmann::json> answer) {
        m_checkRequest = 0;
        if (!answer.ok()) {
          m_consequences->setCheckFailed(errorText(answer.error()));
          return;
        }
        if (asked != jsonText(m_draft->config().toJson())) {
          m_consequences->setCheckFailed(tr("The run was changed while it was being checked. Press Check again."));
          return;
        }
        m_checkedConfig = asked;
        m_consequences->setCheck(readCheck(*answer));
      },
      {}, [this](const nlohmann::json& progress) {
        if (progress.is_object() && progress.contains("what") && progress["what"].is_string()) {
          m_consequences->setChecking(true, QString::fromStdString(progress["what"].get<std::string>()));
        }
      });
}

}  // namespace rankscope::ui

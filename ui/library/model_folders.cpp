#include "ui/library/model_folders.h"

#include <QJsonArray>

#include "core/config/places.h"
#include "ui/shell/settings.h"

namespace rankscope::ui {
namespace {

const QString kKey = QStringLiteral("newrun.modelFolders");

}  // namespace

QStringList addedModelFolders(const Settings& settings) {
  QStringList folders;
  for (const auto& folder : settings.value(kKey).toArray()) folders << folder.toString();
  return folders;
}

void addModelFolder(Settings& settings, const QString& folder) {
  QStringList folders = addedModelFolders(settings);
  if (folder.isEmpty() || folders.contains(folder)) return;
  settings.setValue(kKey, QJsonArray::fromStringList(folders << folder));
}

void removeModelFolder(Settings& settings, const QString& folder) {
  QStringList folders = addedModelFolders(settings);
  if (folders.removeAll(folder) > 0) settings.setValue(kKey, QJsonArray::fromStringList(folders));
}

QStringList modelFolders(const Places& places, const Settings& settings) {
  QStringList folders{QString::fromStdString(places.models.string())};
  if (!places.resources.empty()) folders << QString::fromStdString(places.starter().string());
  folders << addedModelFolders(settings);
  folders.removeDuplicates();
  return folders;
}

nlohmann::json scanQuestion(const Places& places, const Settings& settings) {
  nlohmann::json dirs = nlohmann::json::array();
  for (const QString& folder : modelFolders(places, settings)) dirs.push_back(folder.toStdString());
  return {{"dirs", dirs}, {"hub", true}};
}

}  // namespace rankscope::ui

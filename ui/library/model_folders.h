#pragma once
// The folders in which models are looked for, shared by New run and the library: the user's models folder, the starter,
// and those the user added (remembered). The caches of Hugging Face's programs are the helper's to find. GUI thread.

#include <QStringList>

#include <nlohmann/json.hpp>

namespace rankscope {
struct Places;
}

namespace rankscope::ui {

class Settings;

QStringList addedModelFolders(const Settings& settings);
void addModelFolder(Settings& settings, const QString& folder);
void removeModelFolder(Settings& settings, const QString& folder);
QStringList modelFolders(const Places& places, const Settings& settings);  // all of them
// The question models.scan, with the caches too.
nlohmann::json scanQuestion(const Places& places, const Settings& settings);

}  // namespace rankscope::ui

// Presets of the program and of the user, and the places they are looked for in.
#include <QtTest/QtTest>

#include <QTemporaryDir>
#include <cstdlib>
#include <fstream>

#include "core/config/preset.h"

using namespace rankscope;
namespace fs = std::filesystem;

namespace {
// The environment for one test; restored afterwards.
class Environment {
 public:
  Environment(const char* name, const char* value) : m_name(name) {
    if (const char* old = std::getenv(name)) m_old = old;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { m_old ? ::setenv(m_name, m_old->c_str(), 1) : ::unsetenv(m_name); }

 private:
  const char* m_name;
  std::optional<std::string> m_old;
};
}  // namespace

class ConfigPresets : public QObject {
  Q_OBJECT

  QTemporaryDir m_folder;
  Places m_places;

 private Q_SLOTS:
  void init() {
    const fs::path root = fs::path(m_folder.path().toStdString());
    fs::remove_all(root / "home");
    fs::remove_all(root / "resources");
    fs::create_directories(root / "resources/presets");
    const Environment resources("RANKSCOPE_RESOURCES", (root / "resources").c_str());
    m_places = *Places::find(root / "home");
  }

  void placesFollowOptionThenEnvironment() {
    const Environment home("HOME", "/h"), own("RANKSCOPE_HOME", nullptr), data("XDG_DATA_HOME", nullptr),
        cache("XDG_CACHE_HOME", nullptr);
    QCOMPARE(Places::find()->home, fs::path("/h/.local/share/rankscope"));
    QCOMPARE(Places::find()->cache, fs::path("/h/.cache/rankscope"));
    QCOMPARE(Places::find()->runs, fs::path("/h/.local/share/rankscope/runs"));
    {
      const Environment xdg("XDG_DATA_HOME", "/d"), xdgCache("XDG_CACHE_HOME", "/c");
      QCOMPARE(Places::find()->models, fs::path("/d/rankscope/models"));
      QCOMPARE(Places::find()->cache, fs::path("/c/rankscope"));
      const Environment relative("XDG_DATA_HOME", "d");
      QCOMPARE(Places::find()->home, fs::path("/h/.local/share/rankscope"));
      const Environment ours("RANKSCOPE_HOME", "/own/");
      QCOMPARE(Places::find()->home, fs::path("/own"));
      QCOMPARE(Places::find()->cache, fs::path("/own/cache"));
      QCOMPARE(Places::find("/opt/x/../y")->home, fs::path("/opt/y"));
    }
    const Environment none("HOME", nullptr);
    QVERIFY(!Places::find().ok());
    QVERIFY(!Places::find().error().hint.empty());
    QVERIFY(Places::find("/somewhere").ok());
  }

  void resolvesNames() {
    const Environment home("HOME", "/h");
    QCOMPARE(*m_places.resolve("starter:model"), m_places.resources / "starter/model");
    QCOMPARE(*m_places.resolve("models:a/b"), m_places.models / "a/b");
    QCOMPARE(*m_places.resolve("models:"), m_places.models);
    QCOMPARE(*m_places.resolve("/a/../b/"), fs::path("/b"));
    QCOMPARE(*m_places.resolve("~/x"), fs::path("/h/x"));
    QCOMPARE(*m_places.resolve("rel/x"), fs::current_path() / "rel/x");
    QVERIFY(m_places.resolve("")->empty());
    for (const char* bad : {"starter:../x", "models:a/../../x", "models:/etc/passwd", "starter:.."})
      QVERIFY2(!m_places.resolve(bad).ok(), bad);
    QVERIFY(!m_places.resolve(std::string("a\0b", 3)).ok());
    QCOMPARE(m_places.nameOf(m_places.models / "a/b"), std::string("models:a/b"));
    QCOMPARE(m_places.nameOf(m_places.resources / "starter/model/"), std::string("starter:model"));
    QCOMPARE(m_places.nameOf("/a/b"), std::string("/a/b"));
    QCOMPARE(m_places.nameOf(m_places.models), m_places.models.string());
    Places bare = m_places;
    bare.resources.clear();
    QVERIFY(!bare.resolve("starter:model").ok());
  }

  void makesItsFolders() {
    QVERIFY(m_places.ensure().ok());
    QVERIFY(fs::is_directory(m_places.runs) && fs::is_directory(m_places.cache) && fs::is_directory(m_places.models));
    fs::remove_all(m_places.home);
    std::ofstream(m_places.home) << "a file in the way";
    const auto done = m_places.ensure();
    QVERIFY(!done.ok() && !done.error().hint.empty());
    fs::remove(m_places.home);
  }

  void everyPresetOfTheProgramIsSound() {
    const Environment resources("RANKSCOPE_RESOURCES", RANKSCOPE_SOURCE_DIR "/resources");
    const Places places = *Places::find(m_places.home);
    const PresetList list = loadPresets(places);
    for (const Error& problem : list.problems) qWarning("%s", problem.message().c_str());
    QVERIFY(list.problems.empty());
    QVERIFY(!list.presets.empty());
    for (const Preset& preset : list.presets) {
      QVERIFY2(!preset.title.empty() && !preset.help.empty() && !preset.user, preset.name.c_str());
      for (const ValidationIssue& issue : validate(preset.config))
        QVERIFY2(false, (preset.name + ": " + issue.error.message()).c_str());
    }
  }

  void savesAndLoadsTheUsersOwn() {
    Preset mine;
    mine.title = "Größe: my first / preset!";
    mine.help = "x";
    mine.base = "starter";
    QVERIFY(mine.config.set("method.rank", 4).ok());
    const auto saved = saveUserPreset(m_places, mine);
    QVERIFY2(saved.ok(), saved.ok() ? "" : saved.error().message().c_str());
    QVERIFY(saved->user && fs::exists(saved->file));
    const auto back = findPreset(m_places, saved->name);
    QVERIFY(back.ok());
    QCOMPARE(back->title, mine.title);
    QCOMPARE(back->base, mine.base);
    QVERIFY(back->config == mine.config);
    QVERIFY(back->config.isSet("method.rank") && !back->config.isSet("method.alpha"));
    QVERIFY(findPreset(m_places, saved->file.string()).ok());
    QVERIFY(deleteUserPreset(m_places, saved->name).ok());
    QVERIFY(!deleteUserPreset(m_places, saved->name).ok());
    for (const char* bad : {"../x", "a/b", ".hidden", "-x", ""}) {
      mine.name = bad;
      mine.title = "";
      QVERIFY2(*bad ? !saveUserPreset(m_places, mine).ok() : saveUserPreset(m_places, mine).ok(), bad);
      QVERIFY(!deleteUserPreset(m_places, bad).ok());
    }
  }

  void theUsersPresetHidesTheProgramsAndBadOnesAreNamed() {
    std::ofstream(m_places.presets() / "a.json") << R"({"title": "A", "config": {"method": {"rank": 4}}})";
    std::ofstream(m_places.presets() / "bad.json") << R"({"title": "B", "config": {"method": {"rnak": 4}}})";
    std::ofstream(m_places.presets() / "list.json") << "[]";
    std::ofstream(m_places.presets() / "extra.json") << R"({"config": {}, "colour": 1})";
    std::ofstream(m_places.presets() / "none.json") << R"({"title": "no config"})";
    std::ofstream(m_places.presets() / "notes.txt") << "not a preset";
    Preset mine;
    mine.name = "a";
    mine.title = "Mine";
    QVERIFY(saveUserPreset(m_places, mine).ok());
    const PresetList list = loadPresets(m_places);
    QCOMPARE(list.presets.size(), size_t{1});
    QCOMPARE(list.find("a")->title, std::string("Mine"));
    QCOMPARE(list.problems.size(), size_t{4});
    for (const Error& problem : list.problems)
      QVERIFY(!problem.hint.empty() && problem.where.find(".json") != std::string::npos);
    const auto bad = findPreset(m_places, "bad");
    QVERIFY(!bad.ok() && bad.error().message().find("method.rank") != std::string::npos);
    QVERIFY(findPreset(m_places, "b").error().what.find("no such preset") != std::string::npos);
    QVERIFY(!findPreset(m_places, "/nowhere/x.json").ok());
  }
};

QTEST_GUILESS_MAIN(ConfigPresets)
#include "config_presets.moc"

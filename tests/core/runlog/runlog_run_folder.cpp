// Run folders: made whole, frozen, listed, found by what people type.
#include <QtTest/QtTest>

#include <QTemporaryDir>
#include <fstream>

#include "core/config/files.h"
#include "core/runlog/run_folder.h"
#include "core/runlog/uuid.h"

using namespace rankscope;
namespace fs = std::filesystem;

class RunlogRunFolder : public QObject {
  Q_OBJECT

  QTemporaryDir m_folder;
  Places m_places;

  RunFolder made(const std::string& name, const std::string& id = {}) {
    RunConfig config;
    static_cast<void>(config.set("name", name));
    RunOrigin origin;
    origin.id = id;
    auto folder = RunFolder::create(m_places, config, origin);
    if (!folder) qFatal("%s", folder.error().message().c_str());
    return *folder;
  }

 private Q_SLOTS:
  void init() {
    const fs::path home = fs::path(m_folder.path().toStdString()) / "home";
    fs::remove_all(home);
    m_places = *Places::find(home);
  }

  void createsAWholeFolder() {
    RunConfig config;
    QVERIFY(config
                .assign({"model.path=models:tiny.model", "data.train=rel/train.tsv", "data.eval=/abs/dev.tsv",
                         "method.name=reflora", "method.rank=32", "seed=5"})
                .empty());
    const std::string parent = newUuid();
    const auto folder = RunFolder::create(m_places, config, {parent, 120, {}});
    QVERIFY2(folder.ok(), folder.ok() ? "" : folder.error().message().c_str());
    QVERIFY(isUuid(folder->id()) && folder->path().parent_path() == m_places.runs);
    const auto frozen = folder->config();
    QVERIFY(frozen.ok());
    // Complete: every applicable option is in the file. Frozen: it means the same from any folder.
    for (const OptionSpec& option : optionTable()) QCOMPARE(frozen->isSet(option.key), applies(option, *frozen));
    QCOMPARE(frozen->str("model.path"), std::string("models:tiny.model"));
    QCOMPARE(frozen->str("data.train"), (fs::current_path() / "rel/train.tsv").string());
    QCOMPARE(frozen->str("data.eval"), std::string("/abs/dev.tsv"));
    QCOMPARE(frozen->str("name"), std::string("reflora-r32-tiny.model-rel-s5"));
    const auto info = folder->info();
    QVERIFY(info.ok());
    QVERIFY(info->id == folder->id() && info->created > 1.6e9 && info->parent == parent && info->parentStep == 120);
    QVERIFY(!info->version.empty() && !info->host.empty());
    QCOMPARE(folder->checkpoint(120).filename().string(), std::string("step-00000120"));
    for (const auto& entry : fs::directory_iterator(m_places.runs)) QVERIFY(isUuid(entry.path().filename().string()));
  }

  void namesForRunsWithout() {
    RunConfig config;
    QCOMPARE(defaultRunName(config), std::string("lora-r8-s0"));
    QVERIFY(
        config.assign({"method.name=full", "model.path=/a/b/llama-7b", "data.train=starter:data/reviews_train.jsonl"})
            .empty());
    QCOMPARE(defaultRunName(config), std::string("full-llama-7b-reviews_train-s0"));
    // The starter's folder is called "model", and a point in a name is no ending.
    QVERIFY(config.assign({"model.path=starter:model", "data.train=/glue/MRPC/train.tsv"}).empty());
    QCOMPARE(defaultRunName(config), std::string("full-starter-MRPC-s0"));
    QVERIFY(config.assign({"model.path=models:Llama-3.2-1B"}).empty());
    QCOMPARE(defaultRunName(config), std::string("full-Llama-3.2-1B-MRPC-s0"));
  }

  void refusesWhatIsThere() {
    const std::string id = newUuid();
    made("a", id);
    const auto again = RunFolder::create(m_places, {}, {{}, 0, id});
    QVERIFY(!again.ok() && again.error().what.find("exists") != std::string::npos);
    QVERIFY(!RunFolder::create(m_places, {}, {{}, 0, "../x"}).ok());
  }

  void listsWholeRunsOnly() {
    QVERIFY(listRunFolders(m_places.runs)->empty());
    made("a");
    made("b");
    fs::create_directories(m_places.runs / newUuid());              // no config.json
    fs::create_directories(m_places.runs / (".new-" + newUuid()));  // left behind by a crash
    std::ofstream(m_places.runs / "notes.txt") << "x";
    QCOMPARE(listRunFolders(m_places.runs)->size(), size_t{2});
  }

  void findsByUuidPrefixNameAndPath() {
    const RunFolder a = made("first", "aaaa1111-0000-4000-8000-000000000001");
    const RunFolder b = made("second", "aaaa2222-0000-4000-8000-000000000002");
    const RunFolder c = made("dead-beef", "cccc0000-0000-4000-8000-000000000003");
    const auto id = [&](const std::string& run) {
      const auto found = resolveRun(m_places.runs, run);
      return found ? found->id() : "error: " + found.error().message();
    };
    QCOMPARE(id(a.id()), a.id());
    QCOMPARE(id("aaaa1"), a.id());
    QCOMPARE(id("AAAA2222-0000"), b.id());
    QCOMPARE(id("second"), b.id());
    QCOMPARE(id("dead-beef"), c.id());  // looks like a prefix, is a name
    QCOMPARE(id(c.path().string()), c.id());
    QCOMPARE(id(c.path().string() + "/"), c.id());
    const std::string ambiguous = id("aaaa");
    QVERIFY2(ambiguous.find(a.id()) != std::string::npos && ambiguous.find(b.id()) != std::string::npos &&
                 ambiguous.find("first") != std::string::npos,
             ambiguous.c_str());
    QVERIFY(id("aaa").find("no such run") != std::string::npos);  // too short for a prefix
    QVERIFY(id("secnd").find("Did you mean second?") != std::string::npos);
    QVERIFY(id("").find("no such run") != std::string::npos);
    QVERIFY(id("ffff").find("3 runs are in") != std::string::npos);
    made("second");
    QVERIFY(id("second").find("several runs") != std::string::npos);
    QVERIFY(!resolveRun(m_places.runs / "absent", "x").ok());
  }

  void damagedFoldersAreNamed() {
    const RunFolder folder = made("a");
    std::ofstream(folder.configFile()) << "{";
    QVERIFY(folder.config().error().where.find("config.json") != std::string::npos);
    for (const char* text : {"[]", "{}", "{\"created\": \"x\"}", "{\"created\": 1, \"parent\": \"x\"}",
                             "{\"created\": 1, \"parent_step\": -1}", "{\"created\": 1, \"host\": 5}"}) {
      std::ofstream(folder.infoFile()) << text;
      QVERIFY2(!folder.info().ok(), text);
      QVERIFY(!folder.info().error().hint.empty());
    }
    // A run whose config cannot be read can still be found by its identifier.
    QCOMPARE(resolveRun(m_places.runs, folder.id())->id(), folder.id());
    made("b");
    QVERIFY(resolveRun(m_places.runs, "b").ok());
  }
};

QTEST_GUILESS_MAIN(RunlogRunFolder)
#include "runlog_run_folder.moc"

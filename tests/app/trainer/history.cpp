// store, data and tokenize on the command line.
#include <QtTest/QtTest>

#include "tests/app/trainer/command_fixture.h"

using namespace rankscope;
using nlohmann::json;
using rankscope::test::Answer;
using rankscope::test::ask;
using rankscope::test::configFile;
using rankscope::test::Home;

namespace {

void trainNamed(const Home& home, const QString& name, const QStringList& more = {}) {
  const Answer answer = ask(home, QStringList{"-q", "train", "--config", configFile(home), "--name", name} + more);
  QVERIFY2(answer.code == 0, answer.err.c_str());
}

}  // namespace

class TrainerHistory : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    trainNamed(m_home, "small", {"--set", "method.rank=2"});
    trainNamed(m_home, "large", {"--set", "method.rank=16"});
  }

  void listAndFilter() {
    const json all = ask(m_home, {"--json", "store", "list"}).document();
    QCOMPARE(all["total"].get<int>(), 2);
    const json some = ask(m_home, {"--json", "store", "list", "rank >= 16 and method = reflora"}).document();
    QCOMPARE(some["total"].get<int>(), 1);
    QCOMPARE(some["runs"][0]["name"].get<std::string>(), std::string("large"));
    const Answer wrong = ask(m_home, {"store", "list", "rank >= and"});
    QCOMPARE(wrong.code, 2);
    QVERIFY(wrong.err.rfind("error: ", 0) == 0);
    const json page = ask(m_home, {"--json", "store", "list", "--limit", "1", "--sort", "rank"}).document();
    QCOMPARE(page["runs"].size(), size_t{1});
    QCOMPARE(page["runs"][0]["name"].get<std::string>(), std::string("small"));
    const std::string text = ask(m_home, {"store", "list"}).out;
    QVERIFY(text.find("small") != std::string::npos && text.find("finished") != std::string::npos);
  }

  void showAndCurve() {
    const json run = ask(m_home, {"--json", "store", "show", "small"}).document();
    QVERIFY(run.dump().find("\"finished\"") != std::string::npos);
    const json curve = ask(m_home, {"--json", "store", "show", "small", "--series", "train/loss"}).document();
    QCOMPARE(curve["values"].size(), size_t{12});
    QCOMPARE(curve["steps"].back().get<int>(), 12);
    QCOMPARE(ask(m_home, {"store", "show", "small", "--series", "nope"}).code, 2);
    QCOMPARE(ask(m_home, {"store", "show", "nobody"}).code, 2);
  }

  void compareNamesTheDifference() {
    const Answer text = ask(m_home, {"store", "compare", "small", "large"});
    QCOMPARE(text.code, 0);
    QVERIFY2(text.out.find("method.rank") != std::string::npos, text.out.c_str());
    QVERIFY(text.out.find("optim.learning_rate") == std::string::npos);
    const json document = ask(m_home, {"--json", "store", "compare", "small", "large"}).document();
    QVERIFY(document.dump().find("method.rank") != std::string::npos);
  }

  void checkRebuildKeepsNotes() {
    QCOMPARE(ask(m_home, {"store", "edit", "small", "--note", "the **first**", "--tag", "kept", "--star"}).code, 0);
    const json sound = ask(m_home, {"--json", "store", "check"}).document();
    QVERIFY(sound["sound"].get<bool>());
    QCOMPARE(sound["runs"].get<int>(), 2);
    const json before = ask(m_home, {"--json", "store", "list", "--sort", "name"}).document();
    const Answer rebuilt = ask(m_home, {"--json", "store", "rebuild"});
    QVERIFY2(rebuilt.code == 0, rebuilt.err.c_str());
    const json after = ask(m_home, {"--json", "store", "list", "--sort", "name"}).document();
    QCOMPARE(QString::fromStdString(after.dump(1)), QString::fromStdString(before.dump(1)));
    QCOMPARE(after["runs"][1]["note"].get<std::string>(), std::string("the **first**"));
  }

  void backupAndMerge() {
    const QString copy = QString::fromStdString((m_home.places.home / "copy.sqlite").string());
    QCOMPARE(ask(m_home, {"store", "backup", copy}).code, 0);
    QVERIFY(QFileInfo(copy).size() > 10000);
    QVERIFY(ask(m_home, {"store", "backup", copy}).code != 0);  // never over a file
    Home other;
    trainNamed(other, "elsewhere");
    const QString from = QString::fromStdString(m_home.places.home.string());
    const json merged = ask(other, {"--json", "store", "merge", from}).document();
    QCOMPARE(merged["added"].get<int>(), 2);
    QCOMPARE(merged["folders_copied"].get<int>(), 2);
    const json again = ask(other, {"--json", "store", "merge", from}).document();
    QCOMPARE(again["added"].get<int>(), 0);
    QCOMPARE(again["present"].get<int>(), 2);
    QCOMPARE(ask(other, {"--json", "store", "list"}).document()["total"].get<int>(), 3);
    // A run that came along is a run like any other.
    QCOMPARE(ask(other, {"--json", "eval", "small", "--no-record"}).code, 0);
  }

  void damagedStoreIsSixAndRebuilt() {
    Home home;
    trainNamed(home, "one");
    QCOMPARE(ask(home, {"store", "list"}).code, 0);
    if (Result<void> done = writeFileAtomically(home.places.store, std::string(20000, 'x')); !done) QFAIL("write");
    const Answer broken = ask(home, {"store", "list"});
    QVERIFY(!broken.crashed);
    QVERIFY2(broken.code == 6, broken.err.c_str());
    QVERIFY(broken.err.find("rebuild") != std::string::npos);
    const Answer rebuilt = ask(home, {"store", "rebuild"});
    QVERIFY2(rebuilt.code == 0, rebuilt.err.c_str());
    QCOMPARE(ask(home, {"--json", "store", "list"}).document()["total"].get<int>(), 1);
  }

  void dataInspectAndPreview() {
    const json found = ask(m_home, {"--json", "data", "inspect", "starter:data/reviews_train.jsonl"}).document();
    QCOMPARE(found["format"].get<std::string>(), std::string("jsonl"));
    QVERIFY(found["rows"].get<int>() > 100);
    QVERIFY(found["columns"].size() >= 3);
    const QString file = QString::fromStdString((m_home.places.home / "rows.csv").string());
    if (Result<void> done = writeFileAtomically(file.toStdString(), "text,label\ngood,1\n\"open,2\nbad,0\n"); !done) QFAIL("write");
    const Answer odd = ask(m_home, {"--json", "data", "inspect", file});
    QVERIFY(!odd.crashed);
    QVERIFY(odd.code == 3 || odd.document()["problem_count"].get<int>() > 0);
    QCOMPARE(ask(m_home, {"data", "inspect", "/nowhere.csv"}).code, 3);
    const json preview = ask(m_home, {"--json", "data", "preview", "--config", configFile(m_home), "--rows", "2"}).document();
    QCOMPARE(preview["rows"].size(), size_t{2});
    bool scored = false, given = false;
    for (const json& token : preview["rows"][0]["tokens"]) (token["label"].get<bool>() ? scored : given) = true;
    QVERIFY(scored && given);  // a prompt that is given, an answer that is learnt
  }

  void tokenizeThereAndBack() {
    const std::string text = "The Silver Heron serves soups.";
    const json told = ask(m_home, {"--json", "tokenize", "starter:model", QString::fromStdString(text), "--plain"}).document();
    QVERIFY(told["ids"].size() > 4);
    QCOMPARE(told["text"].get<std::string>(), text);
    QStringList ids;
    for (const json& id : told["ids"]) ids << QString::number(id.get<int>());
    const json back = ask(m_home, {"--json", "tokenize", "starter:model", "--decode", ids.join(',')}).document();
    QCOMPARE(back["text"].get<std::string>(), text);
    QCOMPARE(ask(m_home, {"--json", "tokenize", "starter:model", QString::fromStdString(text), "--max-length", "3"})
                 .document()["ids"].size(), size_t{3});
    QCOMPARE(ask(m_home, {"tokenize", "starter:model", "--decode", "1,two"}).code, 2);
    QVERIFY(ask(m_home, {"tokenize", "/nowhere", "x"}).code >= 2);
  }

 private:
  Home m_home;
};

QTEST_GUILESS_MAIN(TrainerHistory)
#include "history.moc"

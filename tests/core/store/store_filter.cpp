// The language of the filter box: every construct against a small history, and every mistake with its place.

#include <random>

#include "tests/core/store/store_fixture.h"

using namespace rankscope;

class StoreFilter : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void initTestCase();
  void finds_data();
  void finds();
  void mistakes_data();
  void mistakes();
  void quickText();
  void sorts_data();
  void sorts();
  void neverBreaks();
  void deepAndLong();

 private:
  QStringList namesFor(const RunQuery& query, Error* error = nullptr);
  TestHome m_home;
  std::unique_ptr<Store> m_store;
};

// alpha: lora r4, beta: reflora r16, gamma: rora r64, delta: full, epsilon: lora r8 without events
void StoreFilter::initTestCase() {
  const std::vector<RunSpec> specs = {
      {.name = "alpha-2", .method = "lora", .data = "glue/mrpc/train.tsv", .rank = 4, .seed = 1, .learningRate = 1e-3},
      {.name = "beta-10",
       .method = "reflora",
       .data = "glue/mrpc/train.tsv",
       .rank = 16,
       .seed = 2,
       .learningRate = 5e-4},
      {.name = "gamma", .method = "rora", .data = "glue/cola.tsv", .rank = 64, .seed = 1, .learningRate = 1e-3},
      {.name = "delta",
       .method = "full",
       .model = "models:gpt2",
       .data = "wiki.txt",
       .task = "causal_lm",
       .learningRate = 2e-5},
      {.name = "epsilon", .method = "lora", .data = "wiki.txt", .task = "causal_lm", .rank = 8}};
  m_store = m_home.open();
  int steps = 100;
  std::vector<std::string> ids;
  for (const RunSpec& spec : specs) {
    const auto folder = makeRunFolder(m_home.runs(), spec);
    ids.push_back(folder.filename());
    if (spec.name != "epsilon") writeLog(folder, {.steps = steps, .sites = 1, .end = spec.name != "gamma"});
    steps += 100;
  }
  const IngestReport report = ingestRuns(*m_store, m_home.runs());
  QCOMPARE(report.runsAdded, int64_t{5});
  QVERIFY(report.problems.empty());
  RS_OK(m_store->addTags({ids[0], ids[2]}, {"Baseline", "paper"}));
  RS_OK(m_store->setNote(ids[1], "Größer ist besser (siehe Tabelle 3)"));
  RS_OK(m_store->setStarred({ids[3]}, true));
}

QStringList StoreFilter::namesFor(const RunQuery& query, Error* error) {
  Result<RunPage> page = m_store->listRuns(query);
  QStringList names;
  if (!page) {
    if (error) *error = page.error();
    return {"error: " + QString::fromStdString(page.error().message())};
  }
  for (const RunRow& row : page->rows) names << QString::fromStdString(row.name);
  return names;
}

void StoreFilter::finds_data() {
  QTest::addColumn<QString>("filter");
  QTest::addColumn<QString>("expected");
  const auto row = [](const char* filter, const char* expected) { QTest::newRow(filter) << filter << expected; };
  row("", "alpha-2 beta-10 delta epsilon gamma");
  row("   ", "alpha-2 beta-10 delta epsilon gamma");
  row("alpha", "alpha-2");
  row("ALPHA", "alpha-2");
  row("lora", "alpha-2 beta-10 epsilon");  // also inside reflora
  row("lora mrpc", "alpha-2 beta-10");
  row("größer", "beta-10");
  row("GRÖSSER", "beta-10");
  row("\"tabelle 3\"", "beta-10");
  row("baseline", "alpha-2 gamma");
  row("not baseline", "beta-10 delta epsilon");
  row("/^alpha|gamma/", "alpha-2 gamma");
  row("/^alpha|^mma/", "alpha-2");
  row("/^gam.a$/", "gamma");
  row("/(?m)^(alpha|gamma)/", "alpha-2 gamma");
  row("/bet[a-c]-\\d+/", "beta-10");
  row("method = lora", "alpha-2 epsilon");
  row("method=LoRA", "alpha-2 epsilon");
  row("method != lora", "beta-10 delta gamma");
  row("method ~ lora", "alpha-2 beta-10 epsilon");
  row("method ~ /^(ref|ro)/", "beta-10 gamma");
  row("rank >= 16", "beta-10 gamma");
  row("rank>=16 and rank<64", "beta-10");
  row("rank = 4", "alpha-2");
  row("rank != 4", "beta-10 delta epsilon gamma");
  row("rank = none", "delta");
  row("rank != none", "alpha-2 beta-10 epsilon gamma");
  row("not rank >= 16", "alpha-2 delta epsilon");
  row("rank >= 16 and method = reflora and data ~ mrpc", "beta-10");
  row("rank = 4 or rank = 64", "alpha-2 gamma");
  row("rank = 4 or rank = 64 and seed = 2", "alpha-2");
  row("(rank = 4 or rank = 64) and seed = 1", "alpha-2 gamma");
  row("(rank = 4 or rank = 64) seed = 1 AND NOT gamma", "alpha-2");
  row("optim.learning_rate = 1e-3", "alpha-2 epsilon gamma");
  row("optim.learning_rate < 1e-4", "delta");
  row("optim.learning_rate = 0.0005", "beta-10");
  row("optim.name = adamw", "alpha-2 beta-10 delta epsilon gamma");
  row("optim.name = 0", "");
  row("method.target_modules ~ v_proj", "alpha-2 beta-10 delta epsilon gamma");
  row("step >= 300", "delta gamma");
  row("step > 0.2k", "delta gamma");
  row("tokens > 100k", "delta gamma beta-10");
  row("accuracy > 0.992", "beta-10 delta gamma");
  row("eval/accuracy <= 0.99", "alpha-2");
  row("accuracy.max > 0.992", "beta-10 delta gamma");
  row("loss < 100", "alpha-2 beta-10 delta gamma");
  row("loss = none", "epsilon");
  row("train/loss.min < 2", "beta-10 delta gamma");
  row("norm_A > 0", "alpha-2 beta-10 delta gamma");
  row("seconds > 40s", "delta gamma");
  row("seconds > 0.9min", "delta");
  row("memory < 1.00015GB", "alpha-2");
  row("tag = baseline", "alpha-2 gamma");
  row("tag = base", "");
  row("tag ~ base", "alpha-2 gamma");
  row("tag != paper", "beta-10 delta epsilon");
  row("starred = yes", "delta");
  row("starred = no mrpc", "alpha-2 beta-10");
  row("status = finished", "alpha-2 beta-10 delta");
  row("status = running", "gamma");
  row("status = queued", "epsilon");
  row("created > 2020-01-01", "alpha-2 beta-10 delta epsilon gamma");
  row("created < 2020", "");
  row("started = 2023-11-14", "alpha-2 beta-10 delta gamma");
  row("started > 2023-11-15", "");
  row("model = gpt2", "delta");
  row("data = mrpc", "alpha-2 beta-10");
  row("\"and\"", "");
  row("a/b/c", "");
  row("/data/mrpc", "");
}

void StoreFilter::finds() {
  QFETCH(QString, filter);
  QFETCH(QString, expected);
  QStringList wanted = expected.split(' ', Qt::SkipEmptyParts), found = namesFor({.filter = filter.toStdString()});
  wanted.sort();
  found.sort();
  QCOMPARE(found, wanted);
  QVERIFY(!m_store->checkFilter(filter.toStdString()));
}

void StoreFilter::mistakes_data() {
  QTest::addColumn<QString>("filter");
  QTest::addColumn<int>("offset");
  QTest::addColumn<int>("length");
  QTest::addColumn<QString>("part");  // in the message
  QTest::newRow("unknown field") << "rnk > 4" << 0 << 3 << "rank";
  QTest::newRow("unknown after umlaut") << "größe and foo = 1" << 12 << 3 << "character 11";
  QTest::newRow("no value") << "rank >=" << 5 << 2 << "missing";
  QTest::newRow("no number") << "rank >= many" << 8 << 4 << "number";
  QTest::newRow("no field") << ">= 4" << 0 << 2 << "expected";
  QTest::newRow("open") << "(rank > 4" << 0 << 1 << "closed";
  QTest::newRow("closed") << "rank > 4)" << 8 << 1 << "without";
  QTest::newRow("ends with and") << "lora and " << 8 << 0 << "end";
  QTest::newRow("two ors") << "a or or b" << 5 << 2 << "expected";
  QTest::newRow("empty brackets") << "()" << 1 << 1 << "expected";
  QTest::newRow("quote") << "x \"abc" << 2 << 4 << "quoted";
  QTest::newRow("regex open") << "/abc" << 0 << 4 << "closed";
  QTest::newRow("regex wrong") << "/a(b/" << 0 << 5 << "regular expression";
  QTest::newRow("text compared") << "method > lora" << 7 << 1 << "contains";
  QTest::newRow("number contains") << "rank ~ 4" << 5 << 1 << "numbers";
  QTest::newRow("date") << "created > soon" << 10 << 4 << "date";
  QTest::newRow("month") << "created > 2024-13-01" << 10 << 10 << "date";
  QTest::newRow("flag") << "starred = maybe" << 10 << 5 << "yes";
  QTest::newRow("ambiguous unit") << "rank > 4x" << 7 << 2 << "number";
}

void StoreFilter::mistakes() {
  QFETCH(QString, filter);
  QFETCH(int, offset);
  QFETCH(int, length);
  QFETCH(QString, part);
  const auto problem = m_store->checkFilter(filter.toStdString());
  QVERIFY(problem.has_value());
  const QString message = QString::fromStdString(problem->error.message());
  QCOMPARE(static_cast<int>(problem->offset), offset);
  QCOMPARE(static_cast<int>(problem->length), length);
  QVERIFY2(message.contains(part), qPrintable(message));
  QVERIFY(!problem->error.hint.empty());
  QCOMPARE(problem->error.code, ErrorCode::Usage);
  Error error;
  namesFor({.filter = filter.toStdString()}, &error);
  QCOMPARE(error.message(), problem->error.message());
}

void StoreFilter::quickText() {
  QCOMPARE(namesFor({.text = "LORA mrpc", .sort = {{"name"}}}), QStringList({"alpha-2", "beta-10"}));
  QCOMPARE(namesFor({.text = "rank >= 16"}), QStringList());  // no operators here
  QCOMPARE(namesFor({.text = "lora", .filter = "rank < 8"}), QStringList({"alpha-2"}));
}

void StoreFilter::sorts_data() {
  QTest::addColumn<QString>("key");
  QTest::addColumn<bool>("down");
  QTest::addColumn<QString>("expected");
  QTest::newRow("name") << "name" << false << "alpha-2 beta-10 delta epsilon gamma";
  QTest::newRow("rank up") << "rank" << false << "alpha-2 epsilon beta-10 gamma delta";
  QTest::newRow("rank down, unknown last") << "rank" << true << "gamma beta-10 epsilon alpha-2 delta";
  QTest::newRow("metric") << "eval/accuracy" << true << "delta gamma beta-10 alpha-2 epsilon";
  QTest::newRow("metric by its last word") << "accuracy.best" << false << "alpha-2 beta-10 gamma delta epsilon";
  QTest::newRow("config key, number") << "optim.learning_rate" << false << "delta beta-10 * * *";
  QTest::newRow("loss") << "loss" << false << "* * * * epsilon";
  QTest::newRow("tag, none last") << "tag" << false << "* * * * *";
}

void StoreFilter::sorts() {
  QFETCH(QString, key);
  QFETCH(bool, down);
  QFETCH(QString, expected);
  const QStringList found = namesFor({.sort = {{key.toStdString(), down}}}), wanted = expected.split(' ');
  QCOMPARE(found.size(), wanted.size());
  for (qsizetype i = 0; i < wanted.size(); ++i)
    if (wanted[i] != "*") QCOMPARE(found[i], wanted[i]);
  if (key == "tag") {
    QStringList first = found.mid(0, 2);
    first.sort();
    QCOMPARE(first, QStringList({"alpha-2", "gamma"}));
  }
}

// Whatever is typed gives runs or a problem within the text, never a failure of SQL.
void StoreFilter::neverBreaks() {
  static const char* kPieces[] = {"rank",
                                  ">=",
                                  "16",
                                  "and",
                                  "or",
                                  "not",
                                  "(",
                                  ")",
                                  "\"a b\"",
                                  "/x+/",
                                  "~",
                                  "=",
                                  "!=",
                                  "method",
                                  "lora",
                                  "loss",
                                  "created",
                                  "2024-01-01",
                                  "tag",
                                  "starred",
                                  "yes",
                                  "none",
                                  " ",
                                  "\\",
                                  "'",
                                  "%",
                                  "\"",
                                  "/",
                                  "!",
                                  "ä",
                                  "optim.learning_rate",
                                  "1e-3",
                                  ";--",
                                  "eval/accuracy.best",
                                  "\x01",
                                  "[",
                                  "*"};
  std::mt19937 random(7);
  for (int trial = 0; trial < 4000; ++trial) {
    std::string text;
    for (unsigned k = 0; k < 1 + random() % 9; ++k)
      text += std::string(kPieces[random() % std::size(kPieces)]) + (random() % 3 ? " " : "");
    Result<RunPage> page = m_store->listRuns({.filter = text, .withMetrics = false});
    if (page) continue;
    QVERIFY2(page.error().code == ErrorCode::Usage,
             qPrintable(QString::fromStdString(text + ": " + page.error().message())));
    const auto problem = m_store->checkFilter(text);
    QVERIFY(problem && problem->offset + problem->length <= text.size());
  }
}

void StoreFilter::deepAndLong() {
  std::string deep, wide, nested = "rank = 4 tag = x";
  for (int i = 0; i < 15; ++i)
    nested = (i % 2 ? "not (" : "(optim.learning_rate = 1 or ") + nested + " or accuracy.best > 1 and starred = no)";
  QVERIFY(!m_store->checkFilter(nested));
  RS_OK(m_store->listRuns({.filter = nested}));
  for (int i = 0; i < 5000; ++i) deep += "(";
  const auto tooDeep = m_store->checkFilter(deep + "a");
  QVERIFY(tooDeep && tooDeep->error.message().find("complicated") != std::string::npos);
  for (int i = 0; i < 400; ++i) wide += "a or ";
  QVERIFY(!m_store->checkFilter(wide + "a"));
  RS_OK(m_store->listRuns({.filter = wide + "a"}));
  for (int i = 0; i < 400; ++i) wide += "a or ";
  QVERIFY(m_store->checkFilter(wide + "a").has_value());
  QVERIFY(m_store->checkFilter(std::string(100000, 'a')).has_value());
  // An expression that could run for ever is stopped.
  Result<RunPage> slow = m_store->listRuns({.filter = "/((a*)*)*((a*)*)*((.*)*)*$x/"});
  if (!slow) QVERIFY(!slow.error().hint.empty());
}

QTEST_GUILESS_MAIN(StoreFilter)
#include "store_filter.moc"

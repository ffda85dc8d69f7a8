// Real data: every shared set read with its documented number of rows, its columns told apart, and tokenised.

#include <QtTest/QtTest>

#include <filesystem>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/data/prepare.h"
#include "core/text/registry.h"

using namespace rankscope;
namespace fs = std::filesystem;

namespace {

fs::path data() { return fs::path(qEnvironmentVariable("RANKSCOPE_SHARED").toStdString()) / "data"; }
bool haveData() { return fs::exists(data() / "glue"); }

struct GlueFile {
  const char* file;
  uint64_t rows;
  DataTask task;
  const char* roles;  // text|text_pair|label
};
const GlueFile kGlue[] = {
    {"CoLA/train.tsv", 8551, DataTask::Classification, "#4||#2"},
    {"CoLA/dev.tsv", 1043, DataTask::Classification, "#4||#2"},
    {"SST-2/train.tsv", 10000, DataTask::Classification, "sentence||label"},
    {"SST-2/dev.tsv", 872, DataTask::Classification, "sentence||label"},
    {"MRPC/train.tsv", 3668, DataTask::Classification, "#1 String|#2 String|Quality"},
    {"MRPC/dev.tsv", 408, DataTask::Classification, "#1 String|#2 String|Quality"},
    {"STS-B/train.tsv", 5749, DataTask::Regression, "sentence1|sentence2|score"},
    {"STS-B/dev.tsv", 1500, DataTask::Regression, "sentence1|sentence2|score"},
    {"RTE/train.tsv", 2490, DataTask::Classification, "sentence1|sentence2|label"},
    {"RTE/dev.tsv", 277, DataTask::Classification, "sentence1|sentence2|label"},
    {"QNLI/train.tsv", 8999, DataTask::Classification, "question|sentence|label"},
    {"QNLI/dev.tsv", 5463, DataTask::Classification, "question|sentence|label"},
    {"QQP/train.tsv", 8000, DataTask::Classification, "question1|question2|is_duplicate"},
    {"QQP/dev.tsv", 2000, DataTask::Classification, "question1|question2|is_duplicate"},
    {"MNLI/train.tsv", 8999, DataTask::Classification, "sentence1|sentence2|gold_label"},
    {"MNLI/dev.tsv", 500, DataTask::Classification, "sentence1|sentence2|gold_label"},
    {"MNLI/original_columns_train.tsv", 240, DataTask::Classification, "sentence1|sentence2|gold_label"},
    {"MNLI/original_columns_dev_matched.tsv", 240, DataTask::Classification, "sentence1|sentence2|gold_label"},
};

}  // namespace

class DataSetsTest : public QObject {
  Q_OBJECT

 private:
  std::unique_ptr<Tokenizer> m_bert, m_stories;

 private Q_SLOTS:
  void initTestCase() {
    if (!haveData()) return;
    m_bert = std::move(*loadTokenizer(data() / "tokenizers/bert_uncased"));
    m_stories = std::move(*loadTokenizer(data() / "models/stories260K/hf"));
  }

  void glueRows() {
    if (!haveData()) return;
    for (const GlueFile& glue : kGlue) {
      const auto inspected = inspectTable(data() / "glue" / glue.file);
      QVERIFY2(inspected.ok(), glue.file);
      const std::string about = std::string(glue.file) + ": " + std::to_string(inspected->rows) + " rows, " +
                                std::to_string(inspected->problems.total) + " problems" +
                                (inspected->problems.total ? ", " + inspected->problems.items[0].message : "");
      QVERIFY2(inspected->rows == glue.rows && inspected->problems.total == 0, about.c_str());
      QVERIFY2(inspected->guessedTask == glue.task, glue.file);
      const ColumnRoles roles = guessRoles(glue.task, [&] {
        std::vector<std::string> names;
        for (const ColumnSummary& column : inspected->columns) names.push_back(column.name);
        return names;
      }(), inspected->sample, inspected->guessed);
      QCOMPARE(roles.text + "|" + roles.textPair + "|" + roles.label, std::string(glue.roles));
    }
    for (const auto& [file, rows] : {std::pair{"CoLA/test.tsv", 1063u}, std::pair{"SST-2/test.tsv", 1821u},
                                     std::pair{"MRPC/test.tsv", 1725u}, std::pair{"STS-B/test.tsv", 1379u}})
      QCOMPARE(inspectTable(data() / "glue" / file)->rows, uint64_t{rows});
  }

  void glueTokens_data() {
    QTest::addColumn<QString>("set");
    QTest::addColumn<QStringList>("labels");
    QTest::newRow("CoLA") << "CoLA" << QStringList{"0", "1"};
    QTest::newRow("SST-2") << "SST-2" << QStringList{"0", "1"};
    QTest::newRow("MRPC") << "MRPC" << QStringList{"0", "1"};
    QTest::newRow("STS-B") << "STS-B" << QStringList{};
    QTest::newRow("RTE") << "RTE" << QStringList{"0", "1"};
    QTest::newRow("QNLI") << "QNLI" << QStringList{"entailment", "not_entailment"};
    QTest::newRow("QQP") << "QQP" << QStringList{"0", "1"};
    QTest::newRow("MNLI") << "MNLI" << QStringList{"contradiction", "entailment", "neutral"};
  }
  void glueTokens() {
    if (!haveData()) return;
    QFETCH(QString, set);
    QFETCH(QStringList, labels);
    DataSettings s;
    s.task = labels.isEmpty() ? DataTask::Regression : DataTask::Classification;
    s.train = data() / "glue" / set.toStdString() / "train.tsv";
    s.eval = data() / "glue" / set.toStdString() / "dev.tsv";
    s.maxLength = 128;
    const auto prepared = prepareData(s, *m_bert);
    QVERIFY2(prepared.ok(), prepared.ok() ? "" : prepared.error().message().c_str());
    QStringList found;
    for (const std::string& label : prepared->labels) found << QString::fromStdString(label);
    QCOMPARE(found, labels);
    QCOMPARE(prepared->train.size(), static_cast<size_t>(inspectTable(s.train)->rows));
    QCOMPARE(prepared->eval.size(), static_cast<size_t>(inspectTable(s.eval)->rows));
    QVERIFY(prepared->train.longest() <= 128);
    QCOMPARE(prepared->trainProblems.total, uint64_t{0});
    const ExampleView first = prepared->train[0];
    QCOMPARE(first.ids.front(), 101);
    QCOMPARE(first.ids.back(), 102);
    const bool pair = set != "CoLA" && set != "SST-2";
    QCOMPARE(std::count(first.ids.begin(), first.ids.end(), 102), pair ? 2 : 1);
    QCOMPARE(first.typeIds.empty() ? 0 : first.typeIds.back(), pair ? 1 : 0);
  }

  void storiesOfE2e() {
    if (!haveData()) return;
    DataSettings s;
    s.task = DataTask::Instruction;
    s.train = data() / "e2e_nlg/trainset.csv";
    s.eval = data() / "e2e_nlg/devset.csv";
    const auto prepared = prepareData(s, *m_stories);
    QVERIFY2(prepared.ok(), prepared.ok() ? "" : prepared.error().message().c_str());
    QCOMPARE(prepared->roles.prompt + "|" + prepared->roles.answer, std::string("mr|ref"));
    QCOMPARE(prepared->trainStatistics.rows, uint64_t{42061});
    QCOMPARE(prepared->train.size() + prepared->trainProblems.total, size_t{42061});
    QCOMPARE(prepared->eval.size(), size_t{4672});
    const ExampleView first = prepared->train[0];
    const size_t start = static_cast<size_t>(std::find(first.lossMask.begin(), first.lossMask.end(), 1) - first.lossMask.begin());
    QCOMPARE(m_stories->decode(first.ids.subspan(start)),
             std::string("The Vaults pub near Café Adriatic has a 5 star rating. Prices start at £30."));
    QCOMPARE(first.ids.back(), 2);
  }

  void alpaca() {
    if (!haveData()) return;
    DataSettings s;
    s.task = DataTask::Instruction;
    s.train = data() / "instruct/alpaca/alpaca_en_demo.json";
    s.maxLength = 2048;
    const auto prepared = prepareData(s, *m_stories);
    QVERIFY2(prepared.ok(), prepared.ok() ? "" : prepared.error().message().c_str());
    QCOMPARE(prepared->trainStatistics.rows, uint64_t{799});
    QCOMPARE(prepared->train.size() + prepared->eval.size() + prepared->trainProblems.total, size_t{799});
    QVERIFY(m_stories->decode(prepared->train[0].ids).starts_with("### Instruction:\n"));
  }

  void otherJson() {
    if (!haveData()) return;
    const auto rows = [&](const char* file) {
      const auto inspected = inspectTable(data() / file);
      if (!inspected) qWarning("%s", inspected.error().message().c_str());
      return inspected && inspected->problems.total == 0 ? inspected->rows : 0;
    };
    QCOMPARE(rows("math/math_train.json"), uint64_t{2257});
    QCOMPARE(rows("commonsense/commonsense_mix_train.json"), uint64_t{8842});
    QCOMPARE(rows("instruct/self_instruct/seed_tasks.jsonl"), uint64_t{175});
    QCOMPARE(rows("instruct/dpo_sharegpt/dpo_en_demo.json"), uint64_t{200});
    QCOMPARE(rows("instruct/oasst/en_100_tree.jsonl"), uint64_t{100});
    QCOMPARE(rows("lm_text/c4_demo/c4_demo.jsonl"), uint64_t{300});
    QVERIFY(!inspectTable(data() / "instruct/hh_rlhf/harmless-base.jsonl.gz").ok());
    DataSettings s;
    s.task = DataTask::Instruction;
    s.train = data() / "instruct/self_instruct/seed_tasks.jsonl";
    const auto prepared = prepareData(s, *m_stories);
    QVERIFY2(prepared.ok(), prepared.ok() ? "" : prepared.error().message().c_str());
    QCOMPARE(prepared->roles.answer, std::string("instances.0.output"));
  }

  void tinyShakespeare() {
    if (!haveData()) return;
    DataSettings s;
    s.train = data() / "lm_text/tinyshakespeare/input.txt";
    s.maxLength = 256;
    const auto prepared = prepareData(s, *m_stories);
    QVERIFY2(prepared.ok(), prepared.ok() ? "" : prepared.error().message().c_str());
    // Block by block the text comes back whole: nothing lost, nothing doubled.
    Encoding whole = m_stories->encode(*readFileBounded(s.train, 4 << 20), {.addSpecial = false});
    std::vector<int32_t> joined;
    for (const TokenizedSet* set : {&prepared->train, &prepared->eval})
      for (size_t i = 0; i < set->size(); ++i) {
        const ExampleView block = (*set)[i];
        QCOMPARE(block.ids.front(), 1);
        joined.insert(joined.end(), block.ids.begin() + 1, block.ids.end());
      }
    QCOMPARE(joined.back(), 2);
    joined.pop_back();
    QCOMPARE(joined, whole.ids);
    QCOMPARE(prepared->eval.size(), static_cast<size_t>(std::llround(0.1 * static_cast<double>(prepared->train.size() + prepared->eval.size()))));
    // The windows of the model's reference loss: <s> and the next 255 tokens of the first 40,000 characters.
    const Encoding head = m_stories->encode(readFileBounded(s.train, 4 << 20)->substr(0, 40000), {.addSpecial = false});
    for (size_t i = 0; i < 10; ++i)
      QVERIFY(std::equal(prepared->train[i].ids.begin() + 1, prepared->train[i].ids.end(), head.ids.begin() + static_cast<std::ptrdiff_t>(i * 255)));
    s.train = data() / "lm_text/tinystories/tinystories_sample.txt";
    QCOMPARE(prepareData(s, *m_stories)->trainStatistics.rows, uint64_t{5});
    s.train = data() / "lm_text/c4_demo/c4_demo.jsonl";
    QCOMPARE(prepareData(s, *m_stories)->trainStatistics.rows, uint64_t{300});
  }

  // Every question with its answers, and spans that are the answers' own tokens.
  void squad_data() {
    QTest::addColumn<QString>("file");
    QTest::addColumn<int>("questions");
    QTest::addColumn<int>("silent");
    QTest::newRow("train") << "train-v1.1-sample.json" << 1666 << 0;
    QTest::newRow("dev") << "dev-v1.1-sample.json" << 830 << 0;
    QTest::newRow("dev 2.0") << "dev-v2.0-5articles.json" << 1407 << -1;
  }
  void squad() {
    if (!haveData()) return;
    QFETCH(QString, file);
    QFETCH(int, questions);
    QFETCH(int, silent);
    DataSettings s;
    s.task = DataTask::QuestionAnswering;
    s.maxLength = 128;
    s.docStride = 64;
    s.train = data() / "squad" / file.toStdString();
    const auto prepared = prepareFile(s.train, s, *m_bert);
    QVERIFY2(prepared.ok(), prepared.ok() ? "" : prepared.error().message().c_str());
    const TokenizedSet& set = prepared->set;
    const std::vector<uint32_t> starts = set.rowStarts();
    QCOMPARE(static_cast<int>(starts.size()) - 1 + static_cast<int>(prepared->problems.total), questions);
    QCOMPARE(prepared->problems.total, uint64_t{0});
    int without = 0, found = 0, windows = 0;
    for (size_t row = 0; row + 1 < starts.size(); ++row) {
      const QuestionText* question = set.question(set[starts[row]].row);
      QVERIFY(question);
      without += question->answers.empty();
      bool here = false;
      for (uint32_t i = starts[row]; i < starts[row + 1]; ++i) {
        const ExampleView window = set[i];
        QVERIFY(window.length() <= 128);
        ++windows;
        if (window.answer[0] == 0) continue;
        here = true;
        const size_t begin = window.offsets[static_cast<size_t>(window.answer[0])].begin;
        const size_t end = window.offsets[static_cast<size_t>(window.answer[1])].end;
        const std::string text = question->context->substr(begin, end - begin);
        QVERIFY2(text.find(question->answers[0]) != std::string::npos, text.c_str());
        QVERIFY(text.size() < question->answers[0].size() + 40);
      }
      found += here;
    }
    QVERIFY(silent < 0 ? without > 500 : without == silent);
    QVERIFY2(found >= questions - without - 3, qPrintable(QString::number(found)));  // a few answers are longer than a window
    QVERIFY(windows > questions);
  }

  // All eight sets read whole, and a sequence for each choice.
  void commonsense() {
    if (!haveData()) return;
    int files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(data() / "commonsense")) {
      if (entry.path().extension() != ".json") continue;
      DataSettings s;
      s.task = DataTask::MultipleChoice;
      s.maxLength = 4096;
      s.evalLimit = 400;
      const auto prepared = prepareFile(entry.path(), s, *m_stories);
      QVERIFY2(prepared.ok(), prepared.ok() ? "" : prepared.error().message().c_str());
      QCOMPARE(prepared->problems.total, uint64_t{0});
      const size_t rows = prepared->set.rowStarts().size() - 1;
      QVERIFY(rows >= 250 && rows <= 400);
      QVERIFY(prepared->set.size() >= 2 * rows);
      ++files;
    }
    QVERIFY(files >= 16);
  }

  // Ids and what counts of each choice as in the harness's own run.
  void choicesEqualTheHarness() {
    const fs::path golden = data().parent_path() / "reference/golden/metrics/choice_stories260K.json";
    if (!haveData() || !fs::exists(golden)) return;
    const auto document = readJsonFile(golden);
    QVERIFY(document.ok());
    QTemporaryDir folder;
    std::string lines;
    for (const auto& row : (*document)["rows"]) {
      const std::string context = row["context"].get<std::string>();
      const std::string question = context.substr(10, context.size() - 10 - 8);  // "Question: " … "\nAnswer:"
      lines += nlohmann::json{{"question", question}, {"choices", row["choices"]}, {"answer", row["gold"]}}.dump() + "\n";
    }
    DataSettings s;
    s.task = DataTask::MultipleChoice;
    s.maxLength = 4096;
    const fs::path file = fs::path(folder.path().toStdString()) / "rows.jsonl";
    QVERIFY(writeFileAtomically(file, lines).ok());
    const auto prepared = prepareFile(file, s, *m_stories);
    QVERIFY2(prepared.ok(), prepared.ok() ? "" : prepared.error().message().c_str());
    size_t at = 0;
    for (const auto& row : (*document)["rows"])
      for (const auto& continuation : row["continuation_ids"]) {
        auto ids = row["context_ids"].get<std::vector<int32_t>>();
        const size_t before = ids.size();
        for (const auto& id : continuation) ids.push_back(id.get<int32_t>());
        const ExampleView example = prepared->set[at++];
        QVERIFY(std::equal(ids.begin(), ids.end(), example.ids.begin(), example.ids.end()));
        QCOMPARE(example.classLabel, row["gold"].get<int32_t>());
        QVERIFY(example.lossMask[before] == 1 && example.lossMask[before - 1] == 0);
      }
    QCOMPARE(at, prepared->set.size());
  }
};

QTEST_APPLESS_MAIN(DataSetsTest)
#include "data_sets.moc"

// Masked words, questions and choices: what becomes of a row, what is kept together, and every mistake by its line.

#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>

#include "core/data/masking.h"
#include "core/data/prepare.h"
#include "core/data/task.h"
#include "test_tokenizer.h"
#include "tests/core/data/data_files.h"

using namespace rankscope;
namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

namespace {

Ids idsOf(const ExampleView& example) { return {example.ids.begin(), example.ids.end()}; }

constexpr const char* kSquad = R"({"version":"v2.0","data":[{"title":"T","paragraphs":[
 {"context":"ééé bb ccc dddd eeeee ffffff","qas":[
  {"id":"1","question":"what is it","answers":[{"text":"dddd","answer_start":11},{"text":"dddd eeeee","answer_start":11}]},
  {"id":"2","question":"which none","is_impossible":true,"answers":[],"plausible_answers":[{"text":"bb","answer_start":4}]}]},
 {"context":"gg hhh","qas":[{"id":"3","question":"q","answers":[{"text":"hhh","answer_start":3}]}]}]}]})";

}  // namespace

class TasksTest : public QObject, private DataFiles {
  Q_OBJECT

 private:
  std::unique_ptr<Tokenizer> m_plain = makeTestTokenizer(false), m_pairs = makeTestTokenizer(true);

 private Q_SLOTS:
  void maskedBlocks() {
    DataSettings s = settings(DataTask::MaskedLm, file("t.txt", "a bb ccc dddd eeeee ffffff ggggggg"));
    s.maxLength = 5;
    const auto data = prepareData(s, *m_pairs);
    QVERIFY2(data.ok(), data.ok() ? "" : data.error().message().c_str());
    QCOMPARE(data->train.size(), size_t{3});
    QCOMPARE(idsOf(data->train[0]), (Ids{1, 11, 12, 13, 3}));
    QCOMPARE(idsOf(data->train[2]), (Ids{1, 17, 3}));
    // [SEP] is special to the vocabulary whether or not its tokenizer says so: nothing but words counts.
    for (size_t i = 0; i < data->train.size(); ++i) {
      const ExampleView block = data->train[i];
      QCOMPARE(block.lossMask.front(), uint8_t{0});
      QCOMPARE(block.lossMask.back(), uint8_t{0});
      QCOMPARE(block.lossMask[1], uint8_t{1});
    }
  }

  void masksAreDrawnFromTheSeed() {
    TokenMasking masking;
    masking.maskId = 999;
    masking.seed = 5;
    for (int32_t id = 100; id < 900; ++id) masking.words.push_back(id);
    Ids ids(20000, 50);
    std::vector<uint8_t> mask(ids.size(), 1);
    for (size_t i = 0; i < ids.size(); i += 4) mask[i] = 0;
    const ExampleView example{ids, {}, mask, -1, 0, 1, false, {}, {}};
    const MaskedExample masked = maskExample(example, masking, 3, 7);
    size_t asked = 0, hidden = 0, kept = 0, random = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (masked.labels[i] == kIgnoreLabel) {
        QCOMPARE(masked.ids[i], ids[i]);
        continue;
      }
      QVERIFY(mask[i] == 1);
      QCOMPARE(masked.labels[i], ids[i]);
      ++asked;
      if (masked.ids[i] == masking.maskId) ++hidden;
      else if (masked.ids[i] == ids[i]) ++kept;
      else {
        QVERIFY(masked.ids[i] >= 100 && masked.ids[i] < 900);
        ++random;
      }
    }
    // 15 % of 15,000, and of these 80, 10 and 10 %; four standard deviations.
    QVERIFY2(asked > 2075 && asked < 2425, qPrintable(QString::number(asked)));
    const double n = static_cast<double>(asked);
    QVERIFY(std::abs(static_cast<double>(hidden) / n - 0.8) < 0.035);
    QVERIFY(std::abs(static_cast<double>(kept) / n - 0.1) < 0.026);
    QVERIFY(std::abs(static_cast<double>(random) / n - 0.1) < 0.026);
    // The same draw again, and others.
    QVERIFY(maskExample(example, masking, 3, 7).ids == masked.ids);
    QVERIFY(maskExample(example, masking, 4, 7).labels != masked.labels);
    QVERIFY(maskExample(example, masking, 3, 8).labels != masked.labels);
    masking.seed = 6;
    QVERIFY(maskExample(example, masking, 3, 7).labels != masked.labels);
    // Never none at all.
    masking.share = 1e-9;
    const MaskedExample one = maskExample(example, masking, 0, 0);
    QCOMPARE(std::count_if(one.labels.begin(), one.labels.end(), [](int32_t l) { return l != kIgnoreLabel; }), 1);
    QVERIFY(!TokenMasking::make(*m_plain, 0.15, 0).ok());
  }

  void questionsInWindows() {
    DataSettings s = settings(DataTask::QuestionAnswering, file("s.json", kSquad));
    // [CLS] what is it [SEP] … [SEP]: six around, three of the context's six tokens at once, two shared at most half.
    s.maxLength = 9;
    s.docStride = 1;
    const auto data = prepareData(s, *m_pairs);
    QVERIFY2(data.ok(), data.ok() ? "" : data.error().message().c_str());
    const TokenizedSet& set = data->train;
    QCOMPARE(data->trainStatistics.rows, uint64_t{3});
    // Six tokens in windows of three that share one: 0-2, 2-4, 4-5.
    std::vector<uint64_t> rows;
    for (size_t i = 0; i < set.size(); ++i) rows.push_back(set[i].row);
    QCOMPARE(rows, (std::vector<uint64_t>{1, 1, 1, 2, 2, 3}));
    QCOMPARE(set.rowStarts(), (std::vector<uint32_t>{0, 3, 5, 6}));
    QCOMPARE(idsOf(set[1]), (Ids{1, 14, 12, 12, 3, 13, 14, 15, 3}));
    QCOMPARE(set[0].answer, (std::array<int32_t, 2>{0, 0}));
    QCOMPARE(set[1].answer, (std::array<int32_t, 2>{6, 6}));
    QCOMPARE(set[1].offsets[6], (TextSpan{14, 18}));  // bytes; characters count é once
    QCOMPARE(set[1].offsets[4], (TextSpan{0, 0}));
    QCOMPARE(set[2].answer, (std::array<int32_t, 2>{0, 0}));
    QCOMPARE(set.question(1)->answers, (std::vector<std::string>{"dddd", "dddd eeeee"}));
    QVERIFY(set.question(2)->answers.empty());
    QVERIFY(set.question(1)->context == set.question(2)->context);  // kept once
    QCOMPARE(*set.question(3)->context, std::string("gg hhh"));
    const auto shownRows = previewRows(set, 9, &*m_pairs, s, {});
    QCOMPARE(shownRows[1].label, std::string("dddd"));
    QVERIFY(shownRows[1].tokens[6].label && !shownRows[1].tokens[5].label && shownRows[0].label.empty());
  }

  void questionsOfATable() {
    DataSettings s = settings(DataTask::QuestionAnswering,
                              file("q.csv", "question,context,answer\nwho,aa bbb cc,bbb\nwhat,aa bbb cc,\n"));
    const auto data = prepareData(s, *m_pairs);
    QVERIFY2(data.ok(), data.ok() ? "" : data.error().message().c_str());
    QCOMPARE(data->train.size(), size_t{2});
    QCOMPARE(data->train[0].answer, (std::array<int32_t, 2>{4, 4}));
    QCOMPARE(data->train[1].answer, (std::array<int32_t, 2>{0, 0}));
    QVERIFY(data->train.question(2)->answers.empty());
    // transformers' flat layout, with more than one answer.
    s.train = file("q.jsonl", "{\"question\":\"q\",\"context\":\"a bb ccc\",\"answers\":{\"text\":[\"bb\",\"bb ccc\"],\"answer_start\":[2,2]}}\n");
    const auto flat = prepareData(s, *m_pairs);
    QVERIFY2(flat.ok(), flat.ok() ? "" : flat.error().message().c_str());
    QCOMPARE(flat->train.question(1)->answers, (std::vector<std::string>{"bb", "bb ccc"}));
  }

  void questionMistakes_data() {
    QTest::addColumn<QString>("bytes");
    QTest::addColumn<QString>("what");
    const auto row = [](const char* context, const char* answer, const char* start) {
      return QStringLiteral("question,context,answer,answer_start\nok,aa bb,aa,0\nq,%1,%2,%3\n").arg(context, answer, start);
    };
    QTest::newRow("not in the text") << row("aa bb", "cc", "") << "does not occur";
    QTest::newRow("outside") << row("aa bb", "bb", "17") << "outside";
    QTest::newRow("negative") << row("aa bb", "bb", "-1") << "not a number";
    QTest::newRow("no number") << row("aa bb", "bb", "x") << "not a number";
    QTest::newRow("elsewhere") << row("aa bb", "bb", "2") << "not the answer";
    QTest::newRow("empty text") << row("", "bb", "0") << "text to be read is empty";
    QTest::newRow("blank text") << row("  ", "bb", "0") << "text to be read is empty";
    QTest::newRow("no question") << QStringLiteral("question,context,answer,answer_start\nok,aa bb,aa,0\n ,aa bb,aa,0\n")
                                 << "question is empty";
  }
  void questionMistakes() {
    QFETCH(QString, bytes);
    QFETCH(QString, what);
    const DataSettings s = settings(DataTask::QuestionAnswering, file("bad.csv", bytes.toStdString()));
    const auto data = prepareData(s, *m_pairs);
    QVERIFY(!data.ok());
    QVERIFY2(data.error().what.find(what.toStdString()) != std::string::npos, data.error().message().c_str());
    QVERIFY2(data.error().where.find("bad.csv: row 2 (line 3)") != std::string::npos, data.error().where.c_str());
    QVERIFY(!data.error().hint.empty());
  }

  void choicesInThePrompt() {
    const std::string rows =
        "[{\"instruction\":\"Choose: what?\\n\\nAnswer1: aa Answer2: bbb cc\\n\\nAnswer format: answer1/answer2\",\"input\":\"\","
        "\"output\":\"the correct answer is answer2\",\"answer\":\"answer2\"},\n"
        "{\"instruction\":\"true or false: so?\\n\\nAnswer format: true/false\",\"input\":\"\",\"output\":\"x\",\"answer\":\"true\"}]";
    DataSettings s = settings(DataTask::MultipleChoice, file("c.json", rows));
    auto all = prepareFile(s.train, s, *m_plain);
    QVERIFY2(all.ok(), all.ok() ? "" : all.error().message().c_str());
    QCOMPARE(all->set.size(), size_t{4});
    // "Question: Choose: what?\nAnswer:" and " bbb cc", of which the second part alone counts.
    QCOMPARE(idsOf(all->set[1]), (Ids{1, 19, 17, 15, 5, 17, 13, 12}));
    QCOMPARE(all->set[1].label(5), kIgnoreLabel);
    QCOMPARE(all->set[1].label(6), 13);
    QCOMPARE(all->set[0].classLabel, 1);
    QCOMPARE(all->set[1].target, 6.0f);
    QCOMPARE(all->set[3].target, 5.0f);
    QCOMPARE(all->set[2].classLabel, 0);
    // Training sees the right choices alone.
    auto data = prepareData(s, *m_plain);
    QCOMPARE(data->train.size(), size_t{2});
    QCOMPARE(idsOf(data->train[0]), idsOf(all->set[1]));
    // Under a template the model reads the choices, and answers in the words of the answer column.
    s.columns.promptTemplate = "{instruction}\n> ";
    s.columns.answer = "output";
    s.train = file("d.json", rows.substr(0, rows.find("},")) + "}]");
    all = prepareFile(s.train, s, *m_plain);
    QVERIFY2(all.ok(), all.ok() ? "" : all.error().message().c_str());
    QCOMPARE(all->set.size(), size_t{2});
    const ExampleView told = all->set[0];
    QCOMPARE(std::count(told.lossMask.begin(), told.lossMask.end(), uint8_t{1}), 5);
    QCOMPARE(told.ids.back(), 17);
  }

  void choicesInColumns_data() {
    QTest::addColumn<QString>("bytes");
    QTest::addColumn<int>("right");
    QTest::newRow("number from 0") << "goal,sol1,sol2,label\nq,aa,bb,0\nq,aa,bb,1\n" << 1;
    QTest::newRow("number from 1") << "sentence,option1,option2,answer\nq,aa,bb,1\nq,aa,bb,2\n" << 1;
    QTest::newRow("letter") << "question,choiceA,choiceB,choiceC,answerKey\nq,aa,bb,cc,A\nq,aa,bb,cc,C\n" << 2;
    QTest::newRow("text") << "question,option1,option2,answer\nq,aa,bb,aa\nq,aa,bb,bb\n" << 1;
  }
  void choicesInColumns() {
    QFETCH(QString, bytes);
    QFETCH(int, right);
    const DataSettings s = settings(DataTask::MultipleChoice, file("c.csv", bytes.toStdString()));
    const auto all = prepareFile(s.train, s, *m_plain);
    QVERIFY2(all.ok(), all.ok() ? "" : all.error().message().c_str());
    const std::vector<uint32_t> starts = all->set.rowStarts();
    QCOMPARE(starts.size(), size_t{3});
    QCOMPARE(all->set[starts[0]].classLabel, 0);
    QCOMPARE(all->set[starts[1]].classLabel, right);
  }

  void choiceMistakes_data() {
    QTest::addColumn<QString>("bytes");
    QTest::addColumn<QString>("what");
    QTest::newRow("no choices") << "question,answer\nok Answer format: a/b,a\nplain,a\n" << "no choices";
    QTest::newRow("one choice") << "goal,sol1,sol2,label\nq,aa,bb,0\nq,aa,,0\n" << "no choices";
    QTest::newRow("unknown label") << "goal,sol1,sol2,label\nq,aa,bb,0\nq,aa,bb,zz\n" << "none of the choices";
    QTest::newRow("number too large") << "goal,sol1,sol2,label\nq,aa,bb,0\nq,aa,bb,2\n" << "none of the choices";
    QTest::newRow("unknown word") << "question,answer\nok Answer format: a/b,a\nok Answer format: a/b,c\n" << "none of the choices";
    QTest::newRow("no label") << "goal,sol1,sol2,label\nq,aa,bb,0\nq,aa,bb,\n" << "which choice is right";
    QTest::newRow("no question") << "goal,sol1,sol2,label\nq,aa,bb,0\n ,aa,bb,1\n" << "question is empty";
    QTest::newRow("empty choice") << "question,answer\nok Answer format: a/b,a\nok Answer1: Answer2: x Answer format: answer1/answer2,answer1\n"
                                  << "a choice is empty";
  }
  void choiceMistakes() {
    QFETCH(QString, bytes);
    QFETCH(QString, what);
    const DataSettings s = settings(DataTask::MultipleChoice, file("bad.csv", bytes.toStdString()));
    const auto data = prepareData(s, *m_plain);
    QVERIFY(!data.ok());
    QVERIFY2(data.error().what.find(what.toStdString()) != std::string::npos, data.error().message().c_str());
    QVERIFY2(data.error().where.find("bad.csv: row 2 (line 3)") != std::string::npos, data.error().where.c_str());
    QVERIFY(!data.error().hint.empty());
  }

  void rowsStayTogether() {
    std::string bytes = "goal,sol1,sol2,sol3,label\n";
    for (int i = 0; i < 40; ++i) bytes += "question " + std::string(static_cast<size_t>(i) + 1, 'x') + ",aa,bbb,cccc," + std::to_string(i % 3) + "\n";
    DataSettings s = settings(DataTask::MultipleChoice, file("many.csv", bytes));
    s.evalFraction = 0.25;
    s.evalLimit = 7;
    const auto data = prepareData(s, *m_plain);
    QVERIFY(data.ok());
    QCOMPARE(data->train.size(), size_t{30});
    QCOMPARE(data->eval.size(), size_t{21});
    for (size_t i = 0; i < data->eval.size(); ++i) QCOMPARE(data->eval[i].row, data->eval[i - i % 3].row);
    s.evalFraction = 0;
    s.trainLimit = 5;
    QCOMPARE(prepareData(s, *m_plain)->train.size(), size_t{5});
  }

  void cacheKeepsQuestions() {
    DataSettings s = settings(DataTask::QuestionAnswering, file("k.json", kSquad));
    s.maxLength = 9;
    PrepareOptions options;
    options.cacheFolder = fs::path(m_dir.path().toStdString()) / "cache";
    const auto first = prepareData(s, *m_pairs, options);
    const auto again = prepareData(s, *m_pairs, options);
    QVERIFY(first.ok() && again.ok());
    QCOMPARE(again->train.size(), first->train.size());
    for (size_t i = 0; i < first->train.size(); ++i) {
      const ExampleView a = first->train[i], b = again->train[i];
      QVERIFY(idsOf(a) == idsOf(b) && a.answer == b.answer && a.row == b.row);
      QVERIFY(std::equal(a.offsets.begin(), a.offsets.end(), b.offsets.begin(), b.offsets.end()));
      QCOMPARE(*again->train.question(a.row)->context, *first->train.question(a.row)->context);
      QCOMPARE(again->train.question(a.row)->answers, first->train.question(a.row)->answers);
    }
    // Another overlap is another set.
    s.docStride = 0;
    QVERIFY(prepareData(s, *m_pairs, options)->train.size() < first->train.size());
  }

  void columnsSuggestTheTask() {
    const auto inspect = [&](const char* name, const std::string& bytes) { return *inspectTable(file(name, bytes)); };
    QCOMPARE(inspect("a.json", kSquad).guessedTask, DataTask::QuestionAnswering);
    QCOMPARE(inspect("a.json", kSquad).rows, uint64_t{3});
    QCOMPARE(inspect("a.json", kSquad).guessed.answer, std::string("answers.0.text"));
    QCOMPARE(inspect("b.csv", "goal,sol1,sol2,label\nq,aa,bb,0\n").guessedTask, DataTask::MultipleChoice);
    QCOMPARE(inspect("b.csv", "goal,sol1,sol2,label\nq,aa,bb,0\n").guessed.choices, (std::vector<std::string>{"sol1", "sol2"}));
  }
};

QTEST_APPLESS_MAIN(TasksTest)
#include "tasks.moc"

// What each task makes of rows, splits, limits, the cache, and the order of batches.

#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/data/batch_plan.h"
#include "core/data/prepare.h"
#include "core/data/task.h"
#include "test_tokenizer.h"
#include "tests/core/data/data_files.h"

using namespace rankscope;
namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

namespace {

Ids idsOf(const ExampleView& example) { return {example.ids.begin(), example.ids.end()}; }
Ids labelsOf(const ExampleView& example) {
  Ids labels;
  for (size_t i = 0; i < example.length(); ++i) labels.push_back(example.label(i));
  return labels;
}

}  // namespace

class PrepareTest : public QObject, private DataFiles {
  Q_OBJECT

 private:
  std::unique_ptr<Tokenizer> m_plain = makeTestTokenizer(false), m_pairs = makeTestTokenizer(true);

 private Q_SLOTS:
  void instruction() {
    DataSettings s = settings(DataTask::Instruction, file("i.jsonl", "{\"prompt\":\"aa bbb\",\"answer\":\"c dd\"}\n"
                                                                      "{\"prompt\":\"a\",\"answer\":\"\"}\n"
                                                                      "{\"prompt\":\"\",\"answer\":\"x\"}\n"));
    auto data = prepareData(s, *m_plain);
    QVERIFY2(data.ok(), data.ok() ? "" : data.error().message().c_str());
    QCOMPARE(data->train.size(), size_t{1});
    QCOMPARE(idsOf(data->train[0]), (Ids{1, 12, 13, 5, 11, 12, 2}));
    QCOMPARE(labelsOf(data->train[0]), (Ids{-100, -100, -100, -100, 11, 12, 2}));
    QCOMPARE(data->train.scoredTokens(), uint64_t{3});
    QCOMPARE(data->trainProblems.total, uint64_t{2});
    QCOMPARE(data->trainProblems.items[0].row, uint64_t{2});
    // The prompt loses its beginning first …
    s.maxLength = 5;
    data = prepareData(s, *m_plain);
    QCOMPARE(idsOf(data->train[0]), (Ids{1, 5, 11, 12, 2}));
    QVERIFY(data->train[0].truncated);
    QCOMPARE(data->trainStatistics.tokensLost, uint64_t{2});
    // … then the answer its end, and a cut answer has no end mark.
    s.train = file("j.jsonl", "{\"prompt\":\"p\",\"answer\":\"a bb ccc dddd eeeee\"}\n");
    data = prepareData(s, *m_plain);
    QCOMPARE(idsOf(data->train[0]), (Ids{1, 11, 12, 13, 14}));
    // A template joins as it says; what reaches over the boundary belongs to the answer.
    s.maxLength = 64;
    s.columns.promptTemplate = "Q: {prompt} A:";
    data = prepareData(s, *m_plain);
    QCOMPARE(labelsOf(data->train[0]), (Ids{-100, -100, -100, 13, 12, 13, 14, 15, 2}));
    s.columns.promptTemplate = "{nothing}";
    QVERIFY(!prepareData(s, *m_plain).ok());
  }

  void classification() {
    DataSettings s = settings(DataTask::Classification,
                              file("c.tsv", "sentence1\tsentence2\tlabel\na bb\tccc\tyes\ndddd\te\tno\nx\ty\t\n"));
    auto data = prepareData(s, *m_pairs);
    QVERIFY2(data.ok(), data.ok() ? "" : data.error().message().c_str());
    QCOMPARE(data->labels, (std::vector<std::string>{"no", "yes"}));
    QCOMPARE(idsOf(data->train[0]), (Ids{1, 11, 12, 3, 13, 3}));
    QCOMPARE(std::vector<uint8_t>(data->train[0].typeIds.begin(), data->train[0].typeIds.end()),
             (std::vector<uint8_t>{0, 0, 0, 0, 1, 1}));
    QCOMPARE(data->train[0].classLabel, 1);
    QCOMPARE(data->train[1].classLabel, 0);
    QCOMPARE(data->trainProblems.total, uint64_t{1});
    QVERIFY(data->train[0].lossMask.empty());
    QCOMPARE(previewExample(data->train[0], &*m_pairs, s.task, data->labels).label, std::string("yes"));
    // Given classes: their order counts, and a stranger is an error that names its row.
    s.labels = {"yes", "no"};
    QCOMPARE(prepareData(s, *m_pairs)->train[0].classLabel, 0);
    s.labels = {"yes", "maybe"};
    const auto wrong = prepareData(s, *m_pairs);
    QVERIFY(!wrong.ok());
    QVERIFY2(wrong.error().where.find("row 2 (line 3)") != std::string::npos, wrong.error().message().c_str());
    s.labels = {"yes", "yes"};
    QVERIFY(!prepareData(s, *m_pairs).ok());
    // The evaluation file speaks the training file's classes.
    s.labels = {};
    s.eval = file("ce.tsv", "sentence1\tsentence2\tlabel\na\tb\tother\n");
    QVERIFY(!prepareData(s, *m_pairs).ok());
    s.eval = file("cf.tsv", "sentence1\tsentence2\tlabel\na\tb\tyes\n");
    QCOMPARE(prepareData(s, *m_pairs)->eval[0].classLabel, 1);
    // Numbers sort as numbers.
    s = settings(DataTask::Classification, file("n.csv", "text,label\na,10\nb,9\nc,-1\n"));
    QCOMPARE(prepareData(s, *m_pairs)->labels, (std::vector<std::string>{"-1", "9", "10"}));
    s.maxLength = 4;
    s.train = file("long.csv", "text,label\na bb ccc dddd,1\n");
    data = prepareData(s, *m_pairs);
    QCOMPARE(idsOf(data->train[0]), (Ids{1, 11, 12, 3}));
    QCOMPARE(data->trainStatistics.tokensLost, uint64_t{2});
    QCOMPARE(data->trainStatistics.overLimit, uint64_t{1});
  }

  void regression() {
    DataSettings s = settings(DataTask::Regression, file("r.csv", "text,score\na,1.5\nb,-2\nc,+3e0\n"));
    const auto data = prepareData(s, *m_pairs);
    QVERIFY(data.ok());
    QCOMPARE(data->train[0].target, 1.5f);
    QCOMPARE(data->train[2].target, 3.f);
    for (const char* value : {"good", "1.5x", "nan", "inf", "1e999"}) {
      s.train = file("rb.csv", std::string("text,score\na,1\nb,") + value + "\n");
      const auto wrong = prepareData(s, *m_pairs);
      QVERIFY2(!wrong.ok() && wrong.error().where.find("row 2") != std::string::npos, value);
    }
  }

  void blocksOfText() {
    BlockBuilder builder(*m_plain, 5);
    builder.add(Ids{20, 21, 22});
    builder.add(Ids{30, 31, 32, 33, 34, 35, 36});
    const TokenizedSet set = builder.finish();
    // <s> 20 21 22 </s> | <s> 30 31 32 33 | <s> 34 35 36 </s>
    QCOMPARE(set.size(), size_t{3});
    QCOMPARE(idsOf(set[0]), (Ids{1, 20, 21, 22, 2}));
    QCOMPARE(idsOf(set[1]), (Ids{1, 30, 31, 32, 33}));
    QCOMPARE(idsOf(set[2]), (Ids{1, 34, 35, 36, 2}));
    QCOMPARE(labelsOf(set[1]), (Ids{-100, 30, 31, 32, 33}));
    BlockBuilder inner(*m_plain, 8);
    inner.add(Ids{20});
    inner.add(Ids{30, 31});
    QCOMPARE(idsOf(inner.finish()[0]), (Ids{1, 20, 2, 1, 30, 31, 2}));
    BlockBuilder none(*m_plain, 8);
    QVERIFY(none.finish().empty());
  }

  void plainText() {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "word " + std::string(static_cast<size_t>(i % 7 + 1), 'x') + " ";
    DataSettings s = settings(DataTask::CausalLm, file("t.txt", text));
    s.maxLength = 11;
    s.evalFraction = 0.1;
    const auto data = prepareData(s, *m_plain);
    QVERIFY(data.ok());
    // 2000 words and </s> in blocks of 10 behind <s>: 200 full ones and one of </s>; the end is held out.
    QCOMPARE(data->train.size() + data->eval.size(), size_t{201});
    QCOMPARE(data->eval.size(), size_t{20});
    QCOMPARE(data->eval[19].ids.back(), 2);
    QCOMPARE(data->train.scoredTokens() + data->eval.scoredTokens(), uint64_t{2001});
    QVERIFY(data->labels.empty());
    QVERIFY(!prepareData(settings(DataTask::Classification, s.train), *m_plain).ok());
    // Marked documents, split by seed when there are enough of them.
    std::string marked;
    for (int i = 0; i < 20; ++i) marked += "a bb\n<|endoftext|>\n";
    s.train = file("m.txt", marked);
    s.maxLength = 4;
    const auto documents = prepareData(s, *m_plain);
    QVERIFY(documents.ok());
    QCOMPARE(documents->train.size(), size_t{18});
    QCOMPARE(documents->eval.size(), size_t{2});
    QCOMPARE(idsOf(documents->train[0]), (Ids{1, 11, 12, 2}));
    QCOMPARE(documents->trainStatistics.rows, uint64_t{20});
  }

  void splitAndLimits() {
    std::string rows = "text,label\n";
    for (int i = 0; i < 100; ++i) rows += "row" + std::string(static_cast<size_t>(i % 50), 'x') + "," + std::to_string(i % 2) + "\n";
    DataSettings s = settings(DataTask::Classification, file("s.csv", rows));
    s.evalFraction = 0.2;
    s.seed = 7;
    const auto one = prepareData(s, *m_pairs), same = prepareData(s, *m_pairs);
    QCOMPARE(one->train.size(), size_t{80});
    QCOMPARE(one->eval.size(), size_t{20});
    std::set<uint64_t> rowsSeen;
    for (size_t i = 0; i < 80; ++i) rowsSeen.insert(one->train[i].row);
    for (size_t i = 0; i < 20; ++i) {
      rowsSeen.insert(one->eval[i].row);
      QCOMPARE(one->eval[i].row, same->eval[i].row);
    }
    QCOMPARE(rowsSeen.size(), size_t{100});  // no row in both
    s.seed = 8;
    const auto other = prepareData(s, *m_pairs);
    bool differs = false;
    for (size_t i = 0; i < 20; ++i) differs = differs || other->eval[i].row != one->eval[i].row;
    QVERIFY(differs);
    s.trainLimit = 5;
    s.evalLimit = 3;
    const auto few = prepareData(s, *m_pairs);
    QCOMPARE(few->train.size(), size_t{5});
    QCOMPARE(few->eval.size(), size_t{3});
    s.evalFraction = 0;
    QVERIFY(prepareData(s, *m_pairs)->eval.empty());
    QCOMPARE(prepareData(s, *m_pairs)->trainHash.size(), size_t{64});
  }

  void threadsChangeNothing() {
    std::string rows;
    for (int i = 0; i < 10000; ++i)
      rows += "{\"prompt\":\"" + std::string(static_cast<size_t>(i % 13 + 1), 'p') + "\",\"answer\":\"" +
              std::string(static_cast<size_t>(i % 17), 'a') + "\"}\n";
    const DataSettings s = settings(DataTask::Instruction, file("threads.jsonl", rows));
    PrepareOptions one, four;
    one.threads = 1;
    four.threads = 4;
    const auto a = prepareData(s, *m_plain, one), b = prepareData(s, *m_plain, four);
    QCOMPARE(a->train.size(), b->train.size());
    QVERIFY(a->train.size() > 9000);
    for (size_t i = 0; i < a->train.size(); ++i) QVERIFY(idsOf(a->train[i]) == idsOf(b->train[i]) && a->train[i].row == b->train[i].row);
    QCOMPARE(a->trainProblems.total, b->trainProblems.total);
    std::atomic<bool> cancel{true};
    one.cancel = &cancel;
    QCOMPARE(prepareData(s, *m_plain, one).error().code, ErrorCode::Interrupted);
  }

  void cache() {
    DataSettings s = settings(DataTask::Classification, file("cache.csv", "text,label\nab c,x\nd,y\nbroken\n"));
    PrepareOptions options;
    options.cacheFolder = fs::path(m_dir.path().toStdString()) / "cache";
    const auto fresh = prepareData(s, *m_pairs, options);
    QVERIFY(fresh.ok());
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(options.cacheFolder))
      if (entry.is_regular_file()) files.push_back(entry.path());
    QCOMPARE(files.size(), size_t{1});
    const auto stamp = fs::last_write_time(files[0]);
    const auto same = [&](const PreparedData& data) {
      return data.train.size() == 2 && idsOf(data.train[0]) == idsOf(fresh->train[0]) && data.labels == fresh->labels &&
             data.train[1].classLabel == 1 && data.trainProblems.total == 1 && data.trainHash == fresh->trainHash &&
             data.trainProblems.items[0].message == fresh->trainProblems.items[0].message &&
             data.trainStatistics.tokens == fresh->trainStatistics.tokens;
    };
    QVERIFY(same(*prepareData(s, *m_pairs, options)));
    QCOMPARE(fs::last_write_time(files[0]), stamp);  // read, not written again
    // Every byte of the file counts: damaged, it is made anew.
    const auto size = fs::file_size(files[0]);
    for (const auto at : {uintmax_t{0}, uintmax_t{20}, uintmax_t{75}, size / 2, size - 1}) {
      std::fstream stream(files[0], std::ios::in | std::ios::out | std::ios::binary);
      stream.seekg(static_cast<std::streamoff>(at));
      const char byte = static_cast<char>(stream.get());
      stream.seekp(static_cast<std::streamoff>(at));
      stream.put(static_cast<char>(byte ^ 0x5A));
      stream.close();
      QVERIFY(same(*prepareData(s, *m_pairs, options)));
    }
    fs::resize_file(files[0], size / 3);
    QVERIFY(same(*prepareData(s, *m_pairs, options)));
    QCOMPARE(fs::file_size(files[0]), size);
    // Other settings, other file.
    s.maxLength = 5;
    QVERIFY(prepareData(s, *m_pairs, options).ok());
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(options.cacheFolder)) count += entry.is_regular_file();
    QCOMPARE(count, size_t{2});
  }

  void nothingUsable() {
    const auto result = prepareData(settings(DataTask::Classification, file("none.csv", "text,label\na,\nb,\n")), *m_pairs);
    QVERIFY(!result.ok());
    QVERIFY(result.error().message().find("label is empty") != std::string::npos);
    DataSettings s = settings(DataTask::Classification, file("ok.csv", "text,label\na,1\n"));
    s.maxLength = 2;
    QVERIFY(!prepareData(s, *m_pairs).ok());
    s.maxLength = 64;
    s.columns.label = "colour";
    const auto missing = prepareData(s, *m_pairs);
    QVERIFY(!missing.ok() && missing.error().expected.find("text, label") != std::string::npos);
    s.columns.label = "text";
    s.columns.text = "text";
    QVERIFY(!prepareData(s, *m_pairs).ok());
  }

  void permutations() {
    // Fixed values: a run must find its place again with any later version of the program.
    QCOMPARE(SplitMix64(0).next(), uint64_t{0xE220A8397B1DCDAF});
    const std::vector<uint32_t> order = permutation(8, 42, 0);
    QCOMPARE(order, permutation(8, 42, 0));
    QVERIFY(order != permutation(8, 42, 1));
    QVERIFY(order != permutation(8, 43, 0));
    std::vector<int> firsts(5, 0);
    for (uint64_t seed = 0; seed < 5000; ++seed) ++firsts[permutation(5, seed, 3)[0]];
    for (const int count : firsts) QVERIFY2(count > 880 && count < 1120, qPrintable(QString::number(count)));
    QVERIFY(permutation(0, 1, 1).empty());
  }

  void plan() {
    BatchPlan plan(10, 4, 3, true);
    QCOMPARE(plan.batchesPerEpoch(), int64_t{3});
    std::vector<uint32_t> epoch;
    for (int64_t i = 0; i < 3; ++i) {
      const auto batch = plan.batch(i);
      QCOMPARE(batch.size(), plan.sizeOf(i));
      epoch.insert(epoch.end(), batch.begin(), batch.end());
    }
    QCOMPARE(plan.sizeOf(2), size_t{2});
    QCOMPARE(std::set<uint32_t>(epoch.begin(), epoch.end()).size(), size_t{10});
    // Any batch by its number alone, as after a restart.
    const auto late = plan.batch(7);
    BatchPlan again(10, 4, 3, true);
    const auto straight = again.batch(7);
    QVERIFY(std::equal(late.begin(), late.end(), straight.begin(), straight.end()));
    QCOMPARE(again.at(7).epoch, int64_t{2});
    QCOMPARE(again.at(7).batch, int64_t{1});
    BatchPlan ordered(5, 2, 3, false);
    QCOMPARE(ordered.batch(5)[0], 4u);
    BatchPlan empty(0, 4, 1, true);
    QCOMPARE(empty.batchesPerEpoch(), int64_t{0});
    QVERIFY(empty.batch(3).empty());
  }

  void statistics() {
    DataStatistics s;
    for (size_t i = 1; i <= 100; ++i) s.count(i, i > 90 ? i - 90 : 0);
    QCOMPARE(s.tokensLost, uint64_t{55});
    QCOMPARE(s.overLimit, uint64_t{10});
    const LengthHistogram histogram = s.histogram(10);
    QCOMPARE(histogram.edges.size(), histogram.counts.size() + 1);
    uint64_t total = 0;
    for (const uint64_t count : histogram.counts) total += count;
    QCOMPARE(total, uint64_t{100});
    QVERIFY(histogram.counts.size() <= 10);
    s.count(size_t{1} << 30, 0);  // an absurd length costs no memory
    QVERIFY(s.lengthCounts.size() < 100000);
  }

  void settingsOfAConfig() {
    RunConfig config;
    QVERIFY(config.set("data.task", "regression").ok());
    QVERIFY(config.set("data.train", file("x.csv", "text,score\na,1\n").string()).ok());
    QVERIFY(config.set("data.columns.label", "#2").ok());
    QVERIFY(config.set("data.max_length", 33).ok());
    QVERIFY(config.set("seed", 9).ok());
    const auto s = DataSettings::fromConfig(config, Places{});
    QVERIFY2(s.ok(), s.ok() ? "" : s.error().message().c_str());
    QCOMPARE(s->task, DataTask::Regression);
    QCOMPARE(s->columns.label, std::string("#2"));
    QCOMPARE(s->maxLength, int64_t{33});
    QCOMPARE(s->seed, uint64_t{9});
    QVERIFY(s->eval.empty());
    QVERIFY(!DataSettings::fromConfig(RunConfig{}, Places{}).ok());
  }
};

QTEST_APPLESS_MAIN(PrepareTest)
#include "prepare.moc"

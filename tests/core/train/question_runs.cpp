// Answers to questions through every family with a span head, from SQuAD's file to a saved model: the answer's
// characters become the right tokens under each tokenizer's offsets, the loss falls and answers are found, a stopped
// run goes on bit for bit, and the saved head has transformers' names.
#include <ATen/ATen.h>

#include <QtTest/QtTest>

#include <cmath>

#include "core/io/weight_source.h"
#include "core/train/evaluation.h"
#include "core/train/setup.h"
#include "core/train/trained_model.h"
#include "tests/core/train/small_models.h"
#include "tests/core/train/train_until.h"

using namespace rankscope;
using namespace rankscope::test;
namespace fs = std::filesystem;

namespace {

// 64 questions about two sentences each; with `silent`, every fourth asks for somebody who is in neither.
fs::path writeQuestions(const Home& home, bool silent) {
  nlohmann::json paragraphs = nlohmann::json::array();
  for (size_t i = 0; i < 64; ++i) {
    const size_t a = i % 8, b = (a + 1 + i / 8 % 7) % 8;
    const size_t placeA = (i * 3 + i / 8) % 8, placeB = (i * 5 + 1) % 8;
    const std::string context = sentence(a, placeA) + sentence(b, placeB);
    const bool none = silent && i % 4 == 3;
    const size_t behind = (std::max(a, b) + 1) % 8;
    const size_t stranger = behind == std::min(a, b) ? (b + 2) % 8 : behind;
    const size_t asked = none ? stranger : i % 2 ? a : b;
    nlohmann::json answers = nlohmann::json::array();
    if (!none)
      answers.push_back({{"text", kPlaces[i % 2 ? placeA : placeB]},
                         {"answer_start", context.find(std::string(kNames[asked]) + " is at the ") + 15}});
    paragraphs.push_back({{"context", context},
                          {"qas",
                           {{{"id", std::to_string(i)},
                             {"question", std::string("where is ") + kNames[asked] + " ?"},
                             {"answers", answers}}}}});
  }
  const fs::path file = home.places.home / "squad.json";
  write(file, nlohmann::json{{"version", "v1.1"}, {"data", {{{"title", "t"}, {"paragraphs", paragraphs}}}}}.dump());
  return file;
}

double valueOf(const event::Eval& eval, const std::string& name) {
  for (const auto& [key, number] : eval.values)
    if (key == name) return number;
  return std::nan("");
}

// The tokens that training points at cover the answer, and at most a blank beside it.
void compareSpans(const TokenizedSet& set, int& compared) {
  for (size_t i = 0; i < set.size(); ++i) {
    const ExampleView example = set[i];
    const QuestionText* question = set.question(example.row);
    QVERIFY(question != nullptr);
    if (question->answers.empty()) {
      QCOMPARE(example.answer, (std::array<int32_t, 2>{0, 0}));
      continue;
    }
    QVERIFY(example.answer[0] > 0);
    const TextSpan from = example.offsets[static_cast<size_t>(example.answer[0])];
    const TextSpan to = example.offsets[static_cast<size_t>(example.answer[1])];
    const std::string covered = question->context->substr(from.begin, to.end - from.begin);
    QCOMPARE(QString::fromStdString(covered).trimmed(), QString::fromStdString(question->answers.front()));
    ++compared;
  }
}

}  // namespace

class QuestionRuns : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void families_data() {
    QTest::addColumn<size_t>("which");
    QTest::addColumn<bool>("silent");
    for (size_t i = 0; i < smallModels().size(); ++i) QTest::addRow("%s", smallModels()[i].name) << i << false;
    QTest::newRow("bert, some questions without an answer") << size_t{0} << true;
  }
  void families() {
    QFETCH(size_t, which);
    QFETCH(bool, silent);
    const SmallModel& small = smallModels()[which];
    Home home;
    const fs::path file = writeQuestions(home, silent);
    const RunConfig config =
        smallRunConfig({"model.path=" + smallModel(home, small.name), "data.task=question_answering",
                        "data.train=" + file.string(), "data.eval=" + file.string(), "method.name=full",
                        "train.max_steps=240", "train.eval_every=80", "train.checkpoint_every=80"});
    const RunFolder whole = home.newRun(config), broken = home.newRun(config);
    const TrainOutcome outcome = train(whole, home);
    QVERIFY2(!outcome.error, outcome.error ? outcome.error->message().c_str() : "");

    // Learned.
    const auto evals = eventsOf<event::Eval>(whole);
    const double before = valueOf(evals.front(), "eval/answer_f1"), after = valueOf(evals.back(), "eval/answer_f1");
    QVERIFY2(after > before + 0.3, qPrintable(QString("%1 after %2").arg(after).arg(before)));
    QVERIFY(valueOf(evals.back(), "eval/loss") < 0.7 * valueOf(evals.front(), "eval/loss"));
    QCOMPARE(std::isnan(valueOf(evals.back(), "eval/no_answer_exact")), !silent);

    // Stopped and resumed.
    QCOMPARE(trainUntil(broken, home, 80, Command::Stop).state, event::RunState::Stopped);
    const TrainOutcome second = train(broken, home, true);
    QVERIFY2(!second.error, second.error ? second.error->message().c_str() : "");
    QCOMPARE(series(broken, "train/loss"), series(whole, "train/loss"));
    const std::string bytes = bytesOf(whole.path() / "model/model.safetensors");
    QVERIFY(!bytes.empty() && bytes == bytesOf(broken.path() / "model/model.safetensors"));

    // Saved as transformers names it, and loaded with its head.
    const auto saved = nlohmann::json::parse(bytesOf(whole.path() / "model/config.json"));
    QCOMPARE(saved["architectures"][0].get<std::string>(), std::string(small.questionArchitecture));
    const auto source = WeightSource::open(whole.path() / "model");
    QVERIFY2(source.ok(), source.ok() ? "" : source.error().message().c_str());
    QVERIFY(source->contains(small.embedding));
    QCOMPARE(source->info("qa_outputs.weight")->shape, (std::vector<int64_t>{2, 32}));
    QCOMPARE(source->info("qa_outputs.bias")->shape, (std::vector<int64_t>{2}));
    for (const std::string& name : source->names()) QVERIFY2(name.find("pooler") == std::string::npos, name.c_str());
    ModelLoadOptions load;
    load.head = HeadKind::TokenSpan;
    const auto model = loadModel(whole.path() / "model", load);
    QVERIFY2(model.ok(), model.ok() ? "" : model.error().message().c_str());
    QVERIFY((*model)->loadReport().newlyInitialised.empty());

    TrainedModelOptions options;
    options.data = true;
    const auto trained = loadRunModel(whole, home.places, options);
    QVERIFY2(trained.ok(), trained.ok() ? "" : trained.error().message().c_str());
    int compared = 0;
    compareSpans(trained->setup.data.train, compared);
    QCOMPARE(compared, silent ? 48 : 64);
  }
};

QTEST_GUILESS_MAIN(QuestionRuns)
#include "question_runs.moc"

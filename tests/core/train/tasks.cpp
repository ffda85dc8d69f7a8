// The tasks beside plain language modelling and classification, from a file to a trained model: a small BERT and the
// starter's sizes, weights from the seed. The same bits twice and resumed; what was learned shows in the task's own metrics.
#include <ATen/ATen.h>

#include <QtTest/QtTest>

#include <cmath>
#include <fstream>

#include "core/train/estimate.h"
#include "core/train/evaluation.h"
#include "core/train/pseudo_likelihood.h"
#include "core/train/setup.h"
#include "core/train/trained_model.h"
#include "tests/core/train/train_until.h"

using namespace rankscope;
using namespace rankscope::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kNames[] = {"anna", "bert", "cora", "dora", "emil", "fred", "gina", "hugo"};
constexpr const char* kPlaces[] = {"lake", "hill", "wood", "park", "city", "farm", "cave", "port"};
constexpr const char* kRest[] = {"is", "at", "the", "now", "where", "who", "?", "."};

void write(const fs::path& file, const std::string& bytes) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A BERT of two small layers whose vocabulary is the words above.
std::string smallBert(const Home& home) {
  const fs::path folder = home.places.home / "bert";
  std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  for (const auto& list : {kNames, kPlaces, kRest})
    for (size_t i = 0; i < 8; ++i) words += list[i] + std::string("\n");
  write(folder / "vocab.txt", words);
  write(folder / "tokenizer_config.json", R"({"tokenizer_class":"BertTokenizer","do_lower_case":true})");
  write(folder / "config.json",
        R"({"model_type":"bert","vocab_size":29,"hidden_size":32,"num_hidden_layers":2,"num_attention_heads":2,
            "intermediate_size":64,"max_position_embeddings":64,"type_vocab_size":2,"hidden_act":"gelu",
            "layer_norm_eps":1e-12,"hidden_dropout_prob":0.0,"attention_probs_dropout_prob":0.0})");
  return folder.string();
}

std::string sentence(size_t name, size_t place) { return std::string(kNames[name]) + " is at the " + kPlaces[place] + " . "; }

RunConfig configOf(const std::vector<std::string>& assignments) {
  RunConfig config;
  for (const char* each : {"model.random_init=true", "train.batch_size=8", "train.threads=1", "train.compute_dtype=fp32",
                           "optim.learning_rate=0.003", "data.max_length=32", "seed=3"})
    for (const ValidationIssue& issue : config.assign({each})) qWarning("%s", issue.error.message().c_str());
  for (const ValidationIssue& issue : config.assign(assignments)) qWarning("%s", issue.error.message().c_str());
  return config;
}

RunFolder newRun(const Home& home, const RunConfig& config) {
  const auto issues = validate(config);
  for (const ValidationIssue& issue : issues) qWarning("%s", issue.error.message().c_str());
  Result<RunFolder> folder = RunFolder::create(home.places, config);
  if (!folder) qFatal("%s", folder.error().message().c_str());
  return *folder;
}

}  // namespace

class TrainTasks : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void maskedWords() {
    Home home;
    std::string text;
    for (size_t i = 0; i < 400; ++i) text += sentence(i % 8, (i % 8 + i / 97) % 8);
    const fs::path file = home.places.home / "text.txt";
    write(file, text);
    const RunConfig config = configOf({"model.path=" + smallBert(home), "data.task=masked_lm", "data.train=" + file.string(),
                                             "method.name=lora", "method.target_modules=query,value", "train.max_steps=240",
                                             "train.eval_every=80", "train.checkpoint_every=40", "data.mask_share=0.25"});
    const RunFolder whole = newRun(home, config), broken = newRun(home, config);
    const TrainOutcome outcome = train(whole, home);
    QVERIFY2(!outcome.error, outcome.error ? outcome.error->message().c_str() : "");
    const auto evals = eventsOf<event::Eval>(whole);
    QCOMPARE(evals.size(), size_t{4});
    for (const event::Eval& eval : evals) {
      double nll = 0, perplexity = 0;
      for (const auto& [name, value] : eval.values) {
        if (name == "eval/loss") nll = value;
        if (name == "eval/masked_perplexity") perplexity = value;
      }
      QVERIFY(nll > 0 && std::abs(perplexity - std::exp(nll)) < 1e-9 * perplexity);
    }
    // Stopped and resumed: the same masks, the same bits.
    const TrainOutcome first = trainUntil(broken, home, 80, Command::Stop);  // told at its evaluation, whatever the pace
    QCOMPARE(first.state, event::RunState::Stopped);
    const TrainOutcome second = train(broken, home, true);
    QVERIFY2(!second.error, second.error ? second.error->message().c_str() : "");
    QCOMPARE(series(broken, "train/loss"), series(whole, "train/loss"));
    QVERIFY(bytesOf(whole.adapter() / "adapter_model.safetensors") == bytesOf(broken.adapter() / "adapter_model.safetensors"));
    QVERIFY(!bytesOf(whole.adapter() / "adapter_model.safetensors").empty());

    // Evaluations hide the same words every time; another seed hides others.
    TrainedModelOptions options;
    options.data = true;
    Result<TrainedModel> trained = loadRunModel(whole, home.places, options);
    QVERIFY2(trained.ok(), trained.ok() ? "" : trained.error().message().c_str());
    EvaluationOptions rules = evaluationOptions(trained->setup);
    const auto score = [&] { return (**evaluate(*trained->setup.model, trained->setup.data.eval, trained->setup.task, rules)).values.at("loss"); };
    const double once = score();
    QCOMPARE(score(), once);
    TokenMasking other = *rules.masking;
    other.seed = 99;
    rules.masking = &other;
    QVERIFY(score() != once);

    // Pseudo log-likelihood of sentences; a line without words is passed over.
    const fs::path lines = home.places.home / "lines.txt";
    write(lines, "anna is at the lake .\n \nport the who now\n");
    const auto pseudo = scorePseudoLikelihood(*trained->setup.model, *trained->setup.tokenizer, lines, trained->setup.dataSettings);
    QVERIFY2(pseudo.ok(), pseudo.ok() ? "" : pseudo.error().message().c_str());
    QCOMPARE(pseudo->sentences.size(), size_t{2});
    QCOMPARE(pseudo->sentences[0].tokens, int64_t{6});
    QCOMPARE(pseudo->sentences[1].line, uint64_t{3});
    QCOMPARE(pseudo->tokens, int64_t{10});
    QVERIFY(pseudo->loss() > 0 && std::isfinite(pseudo->loss()));
  }

  void questions_data() {
    QTest::addColumn<bool>("silent");
    QTest::newRow("every question has an answer") << false;
    QTest::newRow("some have none") << true;
  }
  void questions() {
    QFETCH(bool, silent);
    Home home;
    nlohmann::json paragraphs = nlohmann::json::array();
    for (size_t i = 0; i < 64; ++i) {
      const size_t a = i % 8, b = (a + 1 + i / 8 % 7) % 8;
      const std::string context = sentence(a, (i * 3 + i / 8) % 8) + sentence(b, (i * 5 + 1) % 8);
      const bool none = silent && i % 4 == 3;
      const size_t asked = none ? (std::max(a, b) + 1) % 8 == std::min(a, b) ? (b + 2) % 8 : (std::max(a, b) + 1) % 8 : i % 2 ? a : b;
      nlohmann::json answers = nlohmann::json::array();
      if (!none) {
        const std::string place = kPlaces[i % 2 ? (i * 3 + i / 8) % 8 : (i * 5 + 1) % 8];
        const size_t from = context.find(std::string(kNames[asked]) + " is at the ") + 16;
        answers.push_back({{"text", place}, {"answer_start", from - 1}});
      }
      paragraphs.push_back({{"context", context}, {"qas", {{{"id", std::to_string(i)}, {"question", std::string("where is ") + kNames[asked] + " ?"}, {"answers", answers}}}}});
    }
    const fs::path file = home.places.home / "squad.json";
    write(file, nlohmann::json{{"version", "v1.1"}, {"data", {{{"title", "t"}, {"paragraphs", paragraphs}}}}}.dump());
    const RunConfig config = configOf({"model.path=" + smallBert(home), "data.task=question_answering", "data.train=" + file.string(),
                                             "data.eval=" + file.string(), "method.name=full", "train.max_steps=240",
                                             "train.eval_every=80", "train.checkpoint_every=240"});
    const RunFolder run = newRun(home, config);
    const TrainOutcome outcome = train(run, home);
    QVERIFY2(!outcome.error, outcome.error ? outcome.error->message().c_str() : "");
    const auto last = eventsOf<event::Eval>(run).back().values;
    const auto before = eventsOf<event::Eval>(run).front().values;
    const auto value = [](const auto& values, const std::string& name) {
      for (const auto& [key, number] : values)
        if (key == name) return number;
      return std::nan("");
    };
    QVERIFY2(value(last, "eval/answer_f1") > value(before, "eval/answer_f1") + 0.3,
             qPrintable(QString("%1 after %2").arg(value(last, "eval/answer_f1")).arg(value(before, "eval/answer_f1"))));
    QVERIFY(value(last, "eval/loss") < value(before, "eval/loss"));
    QCOMPARE(std::isnan(value(last, "eval/no_answer_exact")), !silent);
    // The saved folder is a question-answering model that loads with its head.
    const auto saved = nlohmann::json::parse(bytesOf(run.path() / "model" / "config.json"));
    QCOMPARE(saved["architectures"][0].get<std::string>(), std::string("BertForQuestionAnswering"));
    ModelLoadOptions load;
    load.head = HeadKind::TokenSpan;
    const auto model = loadModel(run.path() / "model", load);
    QVERIFY2(model.ok(), model.ok() ? "" : model.error().message().c_str());
    QVERIFY((*model)->loadReport().newlyInitialised.empty());
  }

  void choices() {
    Home home;
    std::string rows = "goal,sol1,sol2,label\n";
    for (size_t i = 0; i < 24; ++i)
      rows += std::string("the ") + kPlaces[i % 8] + " of " + kNames[i / 3] + ",is very good,was so bad," + (i % 8 < 4 ? "0" : "1") + "\n";
    const fs::path file = home.places.home / "choices.csv";
    write(file, rows);
    const RunConfig config = configOf({"model.path=starter:pretrain", "data.task=multiple_choice", "data.train=" + file.string(),
                                             "data.eval=" + file.string(), "method.name=full", "train.max_steps=60", "data.max_length=64",
                                             "train.eval_every=30", "train.checkpoint_every=60", "train.sample_every=60",
                                             "train.sample_tokens=4"});
    const RunFolder run = newRun(home, config);
    const TrainOutcome outcome = train(run, home);
    QVERIFY2(!outcome.error, outcome.error ? outcome.error->message().c_str() : "");
    const auto summary = eventsOf<event::End>(run).back().summary.at("values");
    QVERIFY2(summary.at("eval/accuracy").get<double>() > 0.9, summary.dump().c_str());
    QVERIFY(summary.at("eval/accuracy_norm").get<double>() > 0.7);
    QVERIFY(!eventsOf<event::Sample>(run).empty());
    // The loss is that of the right choices, by whichever way it is computed.
    TrainedModelOptions options;
    options.data = true;
    Result<TrainedModel> trained = loadRunModel(run, home.places, options);
    QVERIFY(trained.ok());
    const auto evaluation = **evaluate(*trained->setup.model, trained->setup.data.eval, DataTask::MultipleChoice, {});
    const auto plain = **evaluate(*trained->setup.model, trained->setup.data.train, DataTask::CausalLm, {});
    QVERIFY2(std::abs(evaluation.values.at("loss") - plain.values.at("loss")) < 1e-4 * plain.values.at("loss") + 1e-6,
             qPrintable(QString("%1 and %2").arg(evaluation.values.at("loss")).arg(plain.values.at("loss"))));
  }

  void headsAndEstimates() {
    Home home;
    const fs::path file = home.places.home / "q.csv";
    write(file, "question,context,answer\nwhere is anna,anna is at the lake .,lake\nwho is at the lake,anna is at the lake .,anna\n");
    RunConfig config = configOf({"model.path=" + smallBert(home), "data.task=question_answering", "data.train=" + file.string(),
                                       "method.name=lora", "method.target_modules=query,value"});
    Result<TrainingSetup> setup = setUpTraining(config, home.places);
    QVERIFY2(setup.ok(), setup.ok() ? "" : setup.error().message().c_str());
    QCOMPARE(setup->head, HeadKind::TokenSpan);
    const DataShape shape = dataShape(config, setup->data);
    Result<RunEstimate> estimate = estimateRun(config, home.places, &shape);
    QVERIFY2(estimate.ok(), estimate.ok() ? "" : estimate.error().message().c_str());
    QCOMPARE(estimate->trainable, setup->trainableCount());
    // A causal model has no mask token, and no head for it; a task asks for its own head.
    for (const auto& [assignment, key] : {std::pair<std::string, std::string>{"model.path=starter:pretrain", "data.task"},
                                          {"model.head=causal_lm", "model.head"}}) {
      RunConfig wrong = config;
      QVERIFY(wrong.assign({assignment}).empty());
      const auto refused = setUpTraining(wrong, home.places);
      QVERIFY(!refused.ok());
      QCOMPARE(refused.error().where, key);
    }
    RunConfig wrong = config;
    QVERIFY(wrong.assign({"model.head=causal_lm"}).empty());
    QCOMPARE(validate(wrong).size(), size_t{1});
    QVERIFY(wrong.assign({"model.head=token_span"}).empty());
    QVERIFY(validate(wrong).empty());
  }
};

QTEST_GUILESS_MAIN(TrainTasks)
#include "tasks.moc"

// The tasks beside plain language modelling and classification, from a file to a trained model: a small BERT and the
// starter's sizes, weights from the seed; answers to questions are in question_runs.cpp. The same bits twice and resumed;
// what was learned shows in the task's own metrics.
#include <ATen/ATen.h>

#include <QtTest/QtTest>

#include <cmath>

#include "core/train/estimate.h"
#include "core/train/evaluation.h"
#include "core/train/pseudo_likelihood.h"
#include "core/train/setup.h"
#include "core/train/trained_model.h"
#include "tests/core/train/small_models.h"
#include "tests/core/train/train_until.h"

using namespace rankscope;
using namespace rankscope::test;
namespace fs = std::filesystem;

class TrainTasks : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void maskedWords() {
    Home home;
    std::string text;
    for (size_t i = 0; i < 400; ++i) text += sentence(i % 8, (i % 8 + i / 97) % 8);
    const fs::path file = home.places.home / "text.txt";
    write(file, text);
    const RunConfig config = smallRunConfig({"model.path=" + smallModel(home, "bert"), "data.task=masked_lm", "data.train=" + file.string(),
                                             "method.name=lora", "method.target_modules=query,value", "train.max_steps=240",
                                             "train.eval_every=80", "train.checkpoint_every=40", "data.mask_share=0.25"});
    const RunFolder whole = home.newRun(config), broken = home.newRun(config);
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

  void choices() {
    Home home;
    std::string rows = "goal,sol1,sol2,label\n";
    for (size_t i = 0; i < 24; ++i)
      rows += std::string("the ") + kPlaces[i % 8] + " of " + kNames[i / 3] + ",is very good,was so bad," + (i % 8 < 4 ? "0" : "1") + "\n";
    const fs::path file = home.places.home / "choices.csv";
    write(file, rows);
    const RunConfig config = smallRunConfig({"model.path=starter:pretrain", "data.task=multiple_choice", "data.train=" + file.string(),
                                             "data.eval=" + file.string(), "method.name=full", "train.max_steps=60", "data.max_length=64",
                                             "train.eval_every=30", "train.checkpoint_every=60", "train.sample_every=60",
                                             "train.sample_tokens=4"});
    const RunFolder run = home.newRun(config);
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
    RunConfig config = smallRunConfig({"model.path=" + smallModel(home, "bert"), "data.task=question_answering", "data.train=" + file.string(),
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

  // "auto" stays in the frozen config; what it came to is part of the run's start.
  void chatTemplateIsRecorded() {
    const Home home;
    const fs::path model = home.places.models / "chats";
    fs::create_directories(model.parent_path());
    fs::copy(home.places.starter() / "pretrain", model);
    write(model / "chat_template.jinja",
          "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}");
    const fs::path file = home.places.home / "chats.jsonl";
    std::string rows;
    for (int i = 0; i < 12; ++i)
      rows += R"({"messages":[{"role":"user","content":"Where?"},{"role":"assistant","content":"By the lake."}]})" "\n";
    write(file, rows);
    const std::vector<std::string> common = {"model.path=" + model.string(), "data.task=instruction", "data.train=" + file.string(),
                                             "method.name=lora", "train.max_steps=1", "data.max_length=64"};
    const RunFolder run = home.newRun(smallRunConfig(common));
    const TrainOutcome outcome = train(run, home);
    QVERIFY2(!outcome.error, outcome.error ? outcome.error->message().c_str() : "");
    QCOMPARE(run.config()->str("data.chat_template"), std::string("auto"));
    QCOMPARE(eventsOf<event::Start>(run)[0].chatTemplate, std::string("chatml"));
    QCOMPARE(eventsOf<event::Start>(run)[0].unit, std::string("tokens"));
    std::vector<std::string> text = common;
    text[1] = "data.task=causal_lm";
    text[2] = "data.train=starter:data/reviews_train.jsonl";
    text.push_back("data.train_limit=20");
    const RunFolder plain = home.newRun(smallRunConfig(text));
    QVERIFY(!train(plain, home).error);
    QVERIFY(eventsOf<event::Start>(plain)[0].chatTemplate.empty());
  }
};

QTEST_GUILESS_MAIN(TrainTasks)
#include "tasks.moc"

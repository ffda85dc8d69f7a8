// Generation without the reference's files: the rules on tokens, beam search against trying everything, prompts
// together as alone, the ends of a text, wrong options; scores of continuations against the full logits, rolling
// windows.

#include <QtCore/QTemporaryDir>
#include <QtTest/QtTest>

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <numeric>

#include "core/models/generate.h"
#include "core/models/registry.h"
#include "core/models/score.h"
#include "core/models/stop_tokens.h"

using namespace rankscope;

namespace {

using Tokens = std::vector<int64_t>;

std::unique_ptr<Model> tiny(const char* type = "llama") {
  const QTemporaryDir dir;
  const std::filesystem::path path = dir.path().toStdString();
  nlohmann::json config{{"model_type", type},       {"vocab_size", 40},       {"hidden_size", 16},
                        {"intermediate_size", 24},  {"num_hidden_layers", 2}, {"num_attention_heads", 4},
                        {"num_key_value_heads", 2}, {"head_dim", 4},          {"max_position_embeddings", 32},
                        {"initializer_range", 0.5}, {"sliding_window", 6}};
  std::ofstream(path / "config.json") << config.dump();
  ModelLoadOptions options;
  options.randomInit = true;
  options.seed = 21;
  auto model = loadModel(path, options);
  if (!model) qFatal("%s", model.error().message().c_str());
  return std::move(model).value();
}

// A made-up language: the next token's logits depend on the last two tokens.
at::Tensor languageLogits(const Tokens& text, int64_t vocab) {
  auto logits = at::empty({vocab}, at::kFloat);
  const auto a = text.empty() ? 0 : text.back(), b = text.size() < 2 ? 0 : text[text.size() - 2];
  for (int64_t t = 0; t < vocab; ++t) logits[t] = 2.5 * std::sin(static_cast<double>(1 + 3 * a + 7 * b + 5 * t) * 1.37);
  return logits;
}

BeamResult searched(const Tokens& prompt, const BeamOptions& options, int64_t vocab) {
  auto search = makeBeamSearch(prompt, options);
  std::vector<Tokens> open{prompt};
  while (true) {
    std::vector<at::Tensor> rows;
    for (const auto& text : open) rows.push_back(languageLogits(text, vocab));
    search->advance(at::stack(rows));
    if (search->done()) return search->best();
    std::vector<Tokens> next;
    for (size_t i = 0; i < search->tokens().size(); ++i) {
      auto text = open[open.size() == 1 ? 0 : static_cast<size_t>(search->parents()[i])];
      text.push_back(search->tokens()[i]);
      next.push_back(text);
    }
    open = next;
  }
}

// The best of all texts that end with a stop token or have `length` tokens.
BeamResult bestOfAll(const Tokens& prompt, const BeamOptions& options, int64_t vocab) {
  BeamResult best;
  best.score = -std::numeric_limits<double>::infinity();
  const std::function<void(Tokens, double)> grow = [&](const Tokens& tokens, double sum) {
    auto text = prompt;
    text.insert(text.end(), tokens.begin(), tokens.end());
    auto scores = at::log_softmax(languageLogits(text, vocab), 0).contiguous();
    applyRules(options.rules, text, static_cast<int64_t>(tokens.size()), scores.data_ptr<float>(), vocab);
    for (int64_t t = 0; t < vocab; ++t) {
      auto longer = tokens;
      longer.push_back(t);
      const double total = sum + scores[t].item<double>();
      if (!std::isfinite(total)) continue;
      if (options.rules.stops(t) || static_cast<int64_t>(longer.size()) == options.maxNewTokens) {
        const double score = total / std::pow(static_cast<double>(longer.size()), options.lengthPenalty);
        if (score > best.score) best = {longer, score};
      } else {
        grow(longer, total);
      }
    }
  };
  grow({}, 0);
  return best;
}

}  // namespace

class Generation : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void rules() {
    const float lowest = -std::numeric_limits<float>::infinity();
    const auto scored = [](const TokenRules& rules, const Tokens& text, int64_t fresh) {
      std::vector<float> scores{1.f, -1.f, 2.f, 0.f, 3.f};
      applyRules(rules, text, fresh, scores.data(), 5);
      return scores;
    };
    TokenRules rules;
    QVERIFY(!rules.any());
    rules.noRepeatNgram = 3;
    QCOMPARE(scored(rules, {1, 2, 3, 1, 2}, 5), (std::vector<float>{1.f, -1.f, 2.f, lowest, 3.f}));
    QCOMPARE(scored(rules, {1, 2, 3, 1, 2, 4, 1, 2}, 8), (std::vector<float>{1.f, -1.f, 2.f, lowest, lowest}));
    QCOMPARE(scored(rules, {1, 2}, 2), (std::vector<float>{1.f, -1.f, 2.f, 0.f, 3.f}));
    rules.noRepeatNgram = 1;
    QCOMPARE(scored(rules, {4, 0, 90}, 3), (std::vector<float>{lowest, -1.f, 2.f, 0.f, lowest}));
    rules = {};
    rules.repetitionPenalty = 2;
    QCOMPARE(scored(rules, {0, 1, 1, 3}, 4), (std::vector<float>{.5f, -2.f, 2.f, 0.f, 3.f}));
    rules = {};
    rules.minNewTokens = 2;
    rules.stopTokens = {2, 77};
    QCOMPARE(scored(rules, {0}, 1), (std::vector<float>{1.f, -1.f, lowest, 0.f, 3.f}));
    QCOMPARE(scored(rules, {0}, 2), (std::vector<float>{1.f, -1.f, 2.f, 0.f, 3.f}));
  }

  void drawing() {
    const std::vector<float> scores{std::log(.1f), std::log(.4f), std::log(.2f), std::log(.3f)};
    const auto share = [&](const Sampling& how) {
      std::vector<int> counts(4);
      for (int i = 0; i < 1000; ++i) ++counts[static_cast<size_t>(chooseToken(scores.data(), 4, how, (i + .5) / 1000))];
      return counts;
    };
    QCOMPARE(share({1, 0, 1}), (std::vector<int>{100, 400, 200, 300}));
    QCOMPARE(share({1, 2, 1}), (std::vector<int>{0, 571, 0, 429}));
    QCOMPARE(share({1, 0, .6}), (std::vector<int>{0, 571, 0, 429}));
    QCOMPARE(share({1, 0, .75}), (std::vector<int>{0, 444, 222, 334}));
    QCOMPARE(share({1, 3, .5}), (std::vector<int>{0, 571, 0, 429}));  // of the three that are left, 4/9 is not enough
    QCOMPARE(share({0, 0, 1}), (std::vector<int>{0, 1000, 0, 0}));
    const auto sharp = share({.5, 0, 1});
    QVERIFY(std::abs(sharp[1] - 533) <= 1 && std::abs(sharp[0] - 33) <= 1);
  }

  void beamsThatKeepEverythingFindTheBest_data() {
    QTest::addColumn<int>("rule");
    QTest::addColumn<double>("penalty");
    QTest::addColumn<int>("ngram");
    QTest::addColumn<int>("least");
    for (const int rule : {0, 1})
      for (const double penalty : {0.0, 0.8, 2.0})
        for (const int ngram : {0, 2})
          for (const int least : {0, 3})
            QTest::addRow("%s, penalty %g, %d-grams, at least %d", rule ? "paper" : "transformers", penalty, ngram,
                          least)
                << rule << penalty << ngram << least;
  }
  void beamsThatKeepEverythingFindTheBest() {
    QFETCH(int, rule);
    QFETCH(double, penalty);
    QFETCH(int, ngram);
    QFETCH(int, least);
    BeamOptions options;
    options.beams = 800;  // more than there are texts
    options.maxNewTokens = 4;
    options.lengthPenalty = penalty;
    options.earlyStopping = EarlyStopping::Never;
    options.rule = rule ? BeamRule::LoraPaper : BeamRule::Transformers;
    options.rules.stopTokens = {0, 3};
    options.rules.noRepeatNgram = ngram;
    options.rules.minNewTokens = least;
    for (const Tokens& prompt : {Tokens{1}, Tokens{2, 4}, Tokens{4, 4}}) {
      // The paper's search judges without the prompt, and normalises what is left after a rule.
      if (rule && (ngram || least)) {
        const auto found = searched({}, options, 5);
        QVERIFY(static_cast<int>(found.tokens.size()) >= least);
        for (size_t i = 0; ngram && i + 1 < found.tokens.size(); ++i)
          for (size_t k = 0; k < i; ++k)
            QVERIFY(found.tokens[i] != found.tokens[k] || found.tokens[i + 1] != found.tokens[k + 1]);
        continue;
      }
      const auto found = searched(prompt, options, 5), expected = bestOfAll(prompt, options, 5);
      QCOMPARE(found.tokens, expected.tokens);
      QVERIFY(std::abs(found.score - expected.score) < 1e-4);
    }
  }

  void earlyStoppingEndsSooner() {
    BeamOptions options;
    options.beams = 3;
    options.maxNewTokens = 40;
    options.rules.stopTokens = {0, 3};
    const auto steps = [&](EarlyStopping how) {
      options.earlyStopping = how;
      auto search = makeBeamSearch({1}, options);
      std::vector<Tokens> open{{1}};
      int count = 0;
      for (; !search->done(); ++count) {
        std::vector<at::Tensor> rows;
        for (const auto& text : open) rows.push_back(languageLogits(text, 5));
        search->advance(at::stack(rows));
        std::vector<Tokens> next;
        for (size_t i = 0; i < 3; ++i) {
          auto text = open[open.size() == 1 ? 0 : static_cast<size_t>(search->parents()[i])];
          text.push_back(search->tokens()[i]);
          next.push_back(text);
        }
        open = next;
      }
      return count;
    };
    const int yes = steps(EarlyStopping::Yes), usual = steps(EarlyStopping::Heuristic),
              never = steps(EarlyStopping::Never);
    QVERIFY2(yes <= usual && usual <= never && yes < never,
             qPrintable(QString("%1 %2 %3").arg(yes).arg(usual).arg(never)));
  }

  void togetherAsAlone() {
    for (const char* type : {"llama", "mistral"}) {
      auto model = tiny(type);
      const std::vector<Tokens> prompts{{1, 2, 3}, {7}, {9, 8, 7, 6, 5}, {11, 11}};
      for (const int64_t beams : {1, 4}) {
        GenerateOptions how;
        how.maxNewTokens = 12;
        how.beams = beams;
        how.noRepeatNgram = 2;
        how.stopTokens = {2, 5, 13, 30};
        const auto together = generate(*model, prompts, how);
        QVERIFY(together.ok());
        bool differ = false;
        for (size_t i = 0; i < prompts.size(); ++i) {
          const auto alone = generate(*model, {prompts[i]}, how);
          QCOMPARE((*alone)[0].tokens, (*together)[i].tokens);
          QCOMPARE((*alone)[0].end, (*together)[i].end);
          QVERIFY(std::abs((*alone)[0].score - (*together)[i].score) < 1e-4);
          differ |= (*together)[i].tokens.size() != (*together)[0].tokens.size();
        }
        QVERIFY(differ);  // some ended while others went on
      }
    }
    // More prompts than go through the model at once.
    auto model = tiny();
    std::vector<Tokens> many;
    for (int64_t i = 0; i < 150; ++i) many.push_back({i % 40, (i * 7) % 40});
    GenerateOptions how;
    how.maxNewTokens = 3;
    const auto all = generate(*model, many, how);
    QVERIFY(all.ok());
    QCOMPARE((*all)[149].tokens, (*generate(*model, {many[149]}, how))[0].tokens);
    how.temperature = 1;
    const auto sampled = generate(*model, many, how);
    how.beams = 2;
    QVERIFY(!generate(*model, many, how).ok());
    QVERIFY(sampled.ok() && (*sampled)[100].tokens != (*all)[100].tokens);
  }

  // The score of a beam's text is the sum of its tokens' log-probabilities over the length's power.
  void scoresAreLogProbabilities() {
    auto model = tiny();
    for (const auto rule : {BeamRule::Transformers, BeamRule::LoraPaper}) {
      GenerateOptions how;
      how.maxNewTokens = 6;
      how.beams = 3;
      how.lengthPenalty = 0.7;
      how.beamRule = rule;
      const auto best = (*generate(*model, {{4, 9}}, how))[0];
      QCOMPARE(best.tokens.size(), size_t{6});
      const auto score = scoreContinuations(*model, {{{4, 9}, best.tokens}});
      QVERIFY(score.ok());
      QVERIFY(std::abs((*score)[0].logLikelihood / std::pow(6.0, 0.7) - best.score) < 1e-4);
    }
    GenerateOptions how;
    how.maxNewTokens = 6;
    const auto greedy = (*generate(*model, {{4, 9}}, how))[0];
    const auto score = scoreContinuations(*model, {{{4, 9}, greedy.tokens}});
    QVERIFY((*score)[0].greedy);
    auto other = greedy.tokens;
    other[3] = (other[3] + 1) % 40;
    QVERIFY(!(*scoreContinuations(*model, {{{4, 9}, other}}))[0].greedy);
  }

  void ends() {
    auto model = tiny();
    GenerateOptions how;
    how.maxNewTokens = 100;
    for (const int64_t beams : {1, 3}) {
      how.beams = beams;
      const auto full = generate(*model, {Tokens(20, 3), Tokens(32, 4)}, how);
      QVERIFY(full.ok());
      QVERIFY((*full)[0].end == Generated::End::ContextFull);
      QCOMPARE((*full)[0].tokens.size(), size_t{13});
      QCOMPARE((*full)[1].tokens.size(), size_t{1});
      int passes = 0;
      how.keepGoing = [&] { return ++passes <= 2; };
      const auto stopped = generate(*model, {{3}}, how);
      QVERIFY((*stopped)[0].end == Generated::End::Cancelled);
      how.keepGoing = {};
      int told = 0;
      how.onToken = [&](size_t, int64_t) { return ++told < 2; };
      QVERIFY(generate(*model, {{3}, {5}}, how).ok());
      QCOMPARE(told, 2);
      how.onToken = {};
    }
    how.beams = 1;
    how.minNewTokens = 4;
    how.stopTokens.resize(40);
    std::iota(how.stopTokens.begin(), how.stopTokens.end(), 0);
    how.stopTokens.erase(how.stopTokens.begin() + 7);  // one token is left to write
    QCOMPARE((*generate(*model, {{3}}, how))[0].tokens.size(), size_t{5});
    how.maxNewTokens = 0;
    how.minNewTokens = 0;
    QVERIFY((*generate(*model, {{3}}, how))[0].tokens.empty());
  }

  void stopTokens() {
    const QTemporaryDir dir;
    const std::filesystem::path path = dir.path().toStdString();
    const nlohmann::json config{{"eos_token_id", 4}};
    QCOMPARE(stopTokensOf(path, config, -1), Tokens{4});
    QCOMPARE(stopTokensOf(path, config, 2), (Tokens{2, 4}));
    QCOMPARE(stopTokensOf(path, nlohmann::json::object(), 2), Tokens{2});
    std::ofstream(path / "generation_config.json") << R"({"eos_token_id": [9, 4, -1, "x", 9]})";
    QCOMPARE(stopTokensOf(path, {{"eos_token_id", 3}}, -1), (Tokens{4, 9}));
    std::ofstream(path / "generation_config.json") << "[not json";
    QCOMPARE(stopTokensOf(path, config, -1), Tokens{4});
  }

  void wrongOptions() {
    auto model = tiny();
    const auto refused = [&](const std::function<void(GenerateOptions&)>& change, const char* where) {
      GenerateOptions how;
      change(how);
      const auto result = generate(*model, {{3}}, how);
      return !result.ok() && result.error().where == where && !result.error().hint.empty();
    };
    QVERIFY(refused([](auto& o) { o.maxNewTokens = -1; }, "max_new_tokens"));
    QVERIFY(refused([](auto& o) { o.minNewTokens = 100; }, "min_new_tokens"));
    QVERIFY(refused([](auto& o) { o.noRepeatNgram = -2; }, "no_repeat_ngram_size"));
    QVERIFY(refused([](auto& o) { o.beams = 0; }, "num_beams"));
    QVERIFY(refused([](auto& o) { o.topK = -1; }, "top_k"));
    QVERIFY(refused([](auto& o) { o.topP = 1.5; }, "top_p"));
    QVERIFY(refused([](auto& o) { o.repetitionPenalty = 0; }, "repetition_penalty"));
    QVERIFY(refused([](auto& o) { o.lengthPenalty = NAN; }, "length_penalty"));
    QVERIFY(refused([](auto& o) { o.temperature = INFINITY; }, "temperature"));
  }

  void continuations() {
    auto model = tiny();
    const std::vector<ContinuationRequest> requests{
        {{1, 2, 3}, {4, 5}}, {{6}, {7}}, {{1, 2, 3}, {8, 9, 10, 11}}, {Tokens(40, 2), {4, 5, 6}}};
    const auto scores = scoreContinuations(*model, requests, {0, 12});
    QVERIFY(scores.ok());
    for (size_t i = 0; i < requests.size(); ++i) {
      auto text = requests[i].context;
      text.insert(text.end(), requests[i].continuation.begin(), requests[i].continuation.end());
      if (text.size() > 33) text.erase(text.begin(), text.end() - 33);  // the beginning of the context goes
      PackedBatch batch;
      batch.starts = {0, static_cast<int64_t>(text.size())};
      batch.inputIds = at::tensor(text, at::kLong);
      batch.positionIds = at::arange(batch.starts[1], at::kLong);
      ForwardContext context;
      const at::NoGradGuard off;
      const auto logs = at::log_softmax(model->logits(batch, context), -1);
      double expected = 0;
      const auto count = requests[i].continuation.size();
      QCOMPARE((*scores)[i].tokens.size(), count);
      for (size_t k = 0; k < count; ++k) {
        const auto place = static_cast<int64_t>(text.size() - count + k);
        const auto one = logs[place - 1][text[static_cast<size_t>(place)]].item<double>();
        QVERIFY(std::abs((*scores)[i].tokens[k] - one) < 1e-4);
        expected += one;
      }
      QVERIFY(std::abs((*scores)[i].logLikelihood - expected) < 1e-3);
    }
    QVERIFY(!scoreContinuations(*model, {{{}, {1}}}).ok());
    QVERIFY(!scoreContinuations(*model, {{{1}, {}}}).ok());
    QVERIFY(!scoreContinuations(*model, {{{1}, Tokens(33, 1)}}).ok());
    QVERIFY(scoreContinuations(*model, {}).ok());
  }

  void windows() {
    Tokens text;
    for (int64_t i = 0; i < 23; ++i) text.push_back(i + 100);
    for (const int64_t longest : {1, 5, 8, 40})
      for (const int64_t seen : {1, 3, 5}) {
        if (seen > longest) continue;
        Tokens covered;
        for (const auto& window : rollingWindows(text, 7, longest, seen)) {
          QVERIFY(static_cast<int64_t>(window.context.size() + window.continuation.size()) <= longest + 1);
          QVERIFY(static_cast<int64_t>(window.context.size()) >= (covered.empty() ? 1 : seen));
          if (covered.empty())
            QCOMPARE(window.context, Tokens{7});
          else  // what it sees is what came right before
            QCOMPARE(window.context,
                     Tokens(covered.end() - static_cast<int64_t>(window.context.size()), covered.end()));
          covered.insert(covered.end(), window.continuation.begin(), window.continuation.end());
        }
        QCOMPARE(covered, text);
      }
    QVERIFY(rollingWindows({}, 7, 5, 1).empty());
  }
};

QTEST_GUILESS_MAIN(Generation)
#include "generation.moc"

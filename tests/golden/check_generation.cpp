// What a language model writes and how likely it finds what is given: greedy and beam search token for token, the LoRA
// paper's own beam search, and scores of continuations.

#include <algorithm>
#include <regex>

#include "core/models/generate.h"
#include "core/models/score.h"
#include "core/text/registry.h"
#include "tests/golden/check.h"

namespace rankscope::golden {

namespace {

using Tokens = std::vector<int64_t>;

Tokens tokens(const nlohmann::json& list) {
  Tokens out;
  if (!list.is_array()) malformed("token ids are not a list", list.type_name(), "a list of whole numbers");
  for (const auto& id : list) {
    if (!id.is_number_integer()) malformed("a token id is not a number", id.dump(), "a whole number");
    out.push_back(id.get<int64_t>());
  }
  return out;
}

const nlohmann::json& listAt(const nlohmann::json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_array())
    malformed(std::string("the case lacks a list: ") + key, "nothing", "a list");
  return object[key];
}

at::Tensor asTensor(const Tokens& values) { return at::tensor(values, at::kLong); }

Tokens eosOf(const nlohmann::json& config, const char* key) {
  if (!config.contains(key) || config[key].is_null()) return {};
  return config[key].is_array() ? tokens(config[key]) : Tokens{config[key].get<int64_t>()};
}

std::vector<Generated> generated(Model& model, const std::vector<Tokens>& prompts, const GenerateOptions& options) {
  auto out = generate(model, prompts, options);
  if (!out) throw ErrorException(out.error());
  return std::move(out).value();
}

GenerateOptions optionsFrom(const nlohmann::json& o) {
  GenerateOptions options;
  options.maxNewTokens = static_cast<int64_t>(number(o, "max_new_tokens"));
  options.minNewTokens = static_cast<int64_t>(numberOr(o, "min_new_tokens", 0));
  options.noRepeatNgram = static_cast<int64_t>(numberOr(o, "no_repeat_ngram_size", 0));
  options.repetitionPenalty = numberOr(o, "repetition_penalty", 1);
  options.beams = static_cast<int64_t>(numberOr(o, "num_beams", 1));
  options.lengthPenalty = numberOr(o, "length_penalty", 1);
  options.stopTokens = eosOf(o, "eos_token_id");
  if (const auto stopping = o.find("early_stopping"); stopping != o.end())
    options.earlyStopping = *stopping == "never" ? EarlyStopping::Never
                            : *stopping == true  ? EarlyStopping::Yes
                                                 : EarlyStopping::Heuristic;
  return options;
}

// A text longer than one window: its perplexity from windows that see one token of context.
void checkRolling(const nlohmann::json& rolling, Model& model, const Tokenizer& tokenizer, const Tolerance& tolerance,
                  const std::string& type, Findings& findings) {
  const auto encoded = tokenizer.encode(text(rolling, "text"), {false, true, 0});
  const Tokens ids(encoded.ids.begin(), encoded.ids.end());
  findings.equal(type + "tokens of the text", static_cast<int64_t>(ids.size()),
                 static_cast<int64_t>(number(rolling, "tokens")));
  const auto& expected = listAt(rolling, "windows");
  constexpr int64_t kWindow = 128;
  auto scores = scoreContinuations(model, rollingWindows(ids, tokenizer.special().bos, kWindow, 1), {kWindow, 2048});
  if (!scores) throw ErrorException(scores.error());
  findings.equal(type + "windows", static_cast<int64_t>(scores->size()), static_cast<int64_t>(expected.size()));
  double sum = 0;
  for (size_t i = 0; i < std::min(scores->size(), expected.size()); ++i) {
    const auto& score = (*scores)[i];
    sum += score.logLikelihood;
    findings.equal(type + "tokens of a window", static_cast<int64_t>(score.tokens.size()),
                   static_cast<int64_t>(number(expected[i], "predicted")));
    findings.close(type + "window", score.logLikelihood, number(expected[i], "loglikelihood"), tolerance);
  }
  findings.close(type + "whole text", sum, number(rolling, "loglikelihood"), tolerance);
}

}  // namespace

void checkGeneration(const Case& golden, Model& model, Findings& findings) {
  for (const std::string& name : golden.namesUnder("generate/")) {
    if (name == "generate/prompt") continue;
    const at::Tensor prompt = golden.get("generate/prompt"), whole = golden.get(name);
    GenerateOptions options;
    std::smatch part;
    if (std::regex_match(name, part, std::regex("generate/beam(\\d+)_lp([\\d.]+)_nr(\\d+)"))) {
      options.beams = std::stoll(part[1]);
      options.lengthPenalty = std::stod(part[2]);
      options.noRepeatNgram = std::stoll(part[3]);
    } else if (name != "generate/greedy") {
      findings.fail("a kind of generation that is not known: " + name);
      continue;
    }
    options.stopTokens = eosOf(model.config(), "eos_token_id");
    options.maxNewTokens = whole.size(1) - prompt.size(1);
    const Tokens ids(prompt.data_ptr<int64_t>(), prompt.data_ptr<int64_t>() + prompt.numel());
    findings.equal(name, asTensor(generated(model, {ids}, options).front().tokens),
                   whole[0].slice(0, prompt.size(1)).contiguous());
  }
  if (!golden.meta().contains("generations")) return;
  // All prompts of an entry go through the model together.
  size_t index = 0;
  for (const auto& entry : listAt(golden.meta(), "generations")) {
    const std::string what = "generation " + std::to_string(index++);
    std::vector<Tokens> prompts;
    for (const auto& prompt : listAt(entry, "prompts")) prompts.push_back(tokens(prompt));
    const auto results = generated(model, prompts, optionsFrom(entry.value("options", nlohmann::json::object())));
    const auto& outputs = listAt(entry, "outputs");
    findings.equal(what + ", number of texts", static_cast<int64_t>(results.size()),
                   static_cast<int64_t>(outputs.size()));
    for (size_t i = 0; i < std::min(results.size(), outputs.size()); ++i) {
      const std::string which = what + ", prompt " + std::to_string(i);
      findings.equal(which, asTensor(results[i].tokens), asTensor(tokens(outputs[i])));
      if (const auto scores = entry.find("scores"); scores != entry.end() && i < scores->size())
        findings.close(which + ", score", results[i].score, (*scores)[i].get<double>(), {1e-4, 0});
    }
  }
}

NotBuilt checkDecoding(const Case& golden, Findings& findings) {
  GoldenModel opened = openModel(golden.modelFolder(), at::kDouble);
  if (opened.notBuilt) return opened.notBuilt;
  const auto allowed = golden.meta().value("tolerance", nlohmann::json::object());
  const Tolerance scoreTolerance{numberOr(allowed.value("best_score", nlohmann::json::object()), "atol", 1e-4), 0};
  size_t index = 0;
  for (const auto& row : listAt(golden.meta(), "rows")) {
    const std::string what = "row " + std::to_string(index++);
    GenerateOptions options;
    options.beamRule = BeamRule::LoraPaper;
    options.beams = static_cast<int64_t>(number(row, "beam"));
    options.lengthPenalty = number(row, "length_penalty");
    options.noRepeatNgram = static_cast<int64_t>(number(row, "no_repeat_ngram_size"));
    options.repetitionPenalty = number(row, "repetition_penalty");
    options.maxNewTokens = static_cast<int64_t>(number(row, "eval_len"));
    options.minNewTokens = static_cast<int64_t>(number(row, "min_length"));
    options.stopTokens = eosOf(row, "eos_token_id");
    auto best = generated(*opened.model, {tokens(listAt(row, "prompt_ids"))}, options).front();
    best.tokens.resize(static_cast<size_t>(options.maxNewTokens), 0);  // as the reference pads
    findings.equal(what, asTensor(best.tokens), asTensor(tokens(listAt(row, "predict"))));
    findings.close(what + ", score", best.score, number(row, "best_score"), scoreTolerance);
  }
  return std::nullopt;
}

NotBuilt checkChoices(const Case& golden, Findings& findings) {
  auto folder = golden.modelFolder();
  if (!std::filesystem::exists(folder / "config.json")) folder /= "hf";
  const auto allowed = golden.meta().value("tolerance", nlohmann::json::object());
  auto tokenizer = loadTokenizer(folder);
  if (!tokenizer) throw ErrorException(tokenizer.error());
  for (const bool wide : {false, true}) {
    GoldenModel opened = openModel(folder, wide ? at::kDouble : at::kFloat);
    if (opened.notBuilt) return opened.notBuilt;
    const auto part = allowed.value(wide ? "float64" : "default", nlohmann::json::object());
    // transformers takes RMS norms in float32 in a float64 model too, here they are float64 (gradient checks need that):
    // a long text's sum moves by 1.6e-5 with it and agrees to 1e-14 without. So the case's 1e-7 is held as a share of
    // the sum.
    const double allowedError = numberOr(part, "atol", wide ? 1e-7 : 2e-3);
    const Tolerance tolerance = wide ? Tolerance{1e-5, allowedError} : Tolerance{allowedError, 0};
    const std::string type = wide ? "float64, " : "float32, ";
    std::vector<ContinuationRequest> requests;
    for (const auto& row : listAt(golden.meta(), "rows"))
      for (const auto& continuation : listAt(row, "continuation_ids"))
        requests.push_back({tokens(listAt(row, "context_ids")), tokens(continuation)});
    auto scores = scoreContinuations(*opened.model, requests);
    if (!scores) throw ErrorException(scores.error());
    size_t next = 0, index = 0;
    for (const auto& row : golden.meta()["rows"]) {
      const std::string what = type + "row " + std::to_string(index++);
      const auto& expected = listAt(row, "loglikelihoods");
      const auto& greedy = listAt(row, "is_greedy");
      const auto first = next;
      for (size_t i = 0; i < expected.size(); ++i, ++next) {
        findings.close(what, (*scores)[next].logLikelihood, expected[i].get<double>(), tolerance);
        findings.equal(what + ", greedy", (*scores)[next].greedy ? 1 : 0, greedy[i].get<bool>() ? 1 : 0);
      }
      const auto& each = listAt(row, "token_logprobs_first_choice");
      const auto& got = (*scores)[first].tokens;
      for (size_t k = 0; k < std::min(each.size(), got.size()); ++k)
        findings.close(what + ", tokens", got[k], each[k].get<double>(), {1e-4, 0});
    }
    checkRolling(golden.meta().value("rolling", nlohmann::json::object()), *opened.model, **tokenizer, tolerance, type,
                 findings);
  }
  return std::nullopt;
}

}  // namespace rankscope::golden

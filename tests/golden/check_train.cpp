#include <algorithm>
#include <set>

#include "core/methods/factor_files.h"
#include "core/methods/peft_format.h"
#include "core/methods/registry.h"
#include "core/optim/clip.h"
#include "core/optim/registry.h"
#include "core/optim/schedule.h"
#include "tests/golden/check.h"
#include "tests/golden/packing.h"
#include "tests/golden/training.h"

namespace rankscope::golden {

namespace {

int64_t parameterCount(const Model& model) {
  int64_t count = 0;
  for (const NamedTensor& entry : model.parameters().entries()) count += entry.tensor.numel();
  return count;
}

// LoRA on adapted weights that are kept in 4 bits.
MethodSettings fourBitSettings(const nlohmann::json& meta) {
  MethodSettings settings;
  settings.name = "qlora";
  settings.rank = static_cast<int64_t>(number(meta, "r"));
  settings.alpha = number(meta, "alpha");
  for (const auto& target : meta.at("targets")) settings.targetModules.push_back(target.get<std::string>());
  settings.options = {{"quant_sites", "adapted"}, {"double_quant", true}};
  return settings;
}

// A start from gradients, in the form that PEFT has.
Result<MethodSettings> loraGaSettings(nlohmann::json config) {
  const auto& form = config.at("lora_ga_config");
  const nlohmann::json options = {{"init", "lora_ga"},
                                  {"start_variant", "peft"},
                                  {"start_direction", form.at("direction")},
                                  {"start_scale", form.at("scale")},
                                  {"start_gamma", form.at("stable_gamma")}};
  config["init_lora_weights"] = true;
  auto settings = settingsFromPeftConfig(config);
  if (settings) settings->options.update(options);
  return settings;
}

// A prefix, with the projection that only training has.
MethodSettings prefixSettings(const nlohmann::json& config) {
  MethodSettings settings;
  settings.name = "prefix";
  settings.options = {{"virtual_tokens", config.at("num_virtual_tokens")},
                      {"prefix_projection", config.value("prefix_projection", false)},
                      {"projection_size", config.at("encoder_hidden_size")}};
  return settings;
}

// Rows of a trained prefix as keys and values of each layer, [1, heads, n, width].
void comparePrefix(const Case& golden, const Method& method, Findings& findings) {
  const std::string past = "past20/";
  if (golden.namesUnder(past).empty()) return;
  const at::Tensor rows = method.adapterTensors().at("prompt_embeddings");
  const auto layers = static_cast<int64_t>(golden.namesUnder(past).size() / 2);
  for (int64_t layer = 0; layer < layers; ++layer)
    for (int64_t side = 0; side < 2; ++side) {
      const std::string name = fmt::format("{}{}.{}", past, layer, side == 0 ? "key" : "value");
      const at::Tensor theirs = golden.get(name);
      const at::Tensor ours = rows.view({rows.size(0), layers, 2, theirs.size(1), theirs.size(3)})
                                  .select(1, layer)
                                  .select(1, side)
                                  .transpose(0, 1)
                                  .unsqueeze(0);
      findings.close(name, ours.contiguous(), theirs, {golden.tolerance("step20_atol", 5e-4), 0});
    }
}

// Settings of a case's method; the reason when it is none of ours.
struct Wanted {
  MethodSettings settings;
  NotBuilt notBuilt;
};

Wanted wantedMethod(const Case& golden, const Model& model) {
  const auto& meta = golden.meta();
  const auto config = meta.find("peft_config");
  if (config == meta.end() || config->is_null()) {
    if (!golden.namesUnder("dequant/").empty()) return {fourBitSettings(meta), std::nullopt};
    const auto trained = static_cast<int64_t>(numberOr(meta, "trainable_parameters", -1));
    MethodSettings whole;
    whole.name = trained >= 0 && trained != parameterCount(model) ? "bitfit" : "full";
    return {whole, std::nullopt};
  }
  const std::string type = text(*config, "peft_type");
  if (type == "PREFIX_TUNING") return {prefixSettings(*config), std::nullopt};
  if (type != "LORA" && type != "ADALORA") return {{}, type.empty() ? "an adapter of no type" : type};
  const auto init = config->find("init_lora_weights");
  const bool pissa = init != config->end() && *init == "pissa", loraGa = init != config->end() && *init == "lora_ga";
  if (!pissa && !loraGa && init != config->end() && init->is_string() && *init != "gaussian")
    return {{}, init->get<std::string>()};
  if (!pissa && !loraGa && !golden.namesUnder("base/").empty()) return {{}, "LoRA on altered base weights"};
  auto settings = loraGa ? loraGaSettings(*config) : settingsFromPeftConfig(*config);
  if (!settings) return {{}, settings.error().message()};
  if (!golden.namesUnder("frozen/").empty()) settings->name = "only_b";
  // The head is always among what trains; the names PEFT lists for it are not modules of their own here.
  auto& saved = settings->modulesToSave;
  const auto head = model.headParameters();
  saved.erase(std::remove_if(saved.begin(), saved.end(),
                             [&](const std::string& module) {
                               const bool exists =
                                   std::any_of(model.parameters().entries().begin(), model.parameters().entries().end(),
                                               [&](const NamedTensor& e) {
                                                 return ("." + e.name).find("." + module + ".") != std::string::npos;
                                               });
                               const bool isHead = std::any_of(head.begin(), head.end(), [&](const std::string& n) {
                                 return n.rfind(module + ".", 0) == 0;
                               });
                               return !exists || isHead;
                             }),
              saved.end());
  return {*settings, std::nullopt};
}

// What trains, by the names of the recording. Under PEFT only recorded parameters train (a head may have been left
// frozen); full fine-tuning records a few of many.
std::vector<OptimizedParameter> trainedParameters(const Case& golden, const Method& method, bool peft,
                                                  const OwnName& own) {
  std::set<std::string> recorded;
  for (const std::string& name : golden.namesUnder("init/")) recorded.insert(own(name.substr(5)));
  std::vector<OptimizedParameter> out;
  for (OptimizedParameter p : method.trainable()) {
    if (peft && !recorded.empty() && !recorded.count(p.name)) {
      p.tensor.requires_grad_(false);
      continue;
    }
    out.push_back(std::move(p));
  }
  return out;
}

at::Tensor findParameter(const std::vector<OptimizedParameter>& parameters, const Model& model,
                         const std::string& name) {
  const auto aliases = model.parameters().aliases();
  const auto alias = aliases.find(name);
  const std::string owner = alias == aliases.end() ? name : alias->second;
  for (const OptimizedParameter& p : parameters)
    if (p.name == owner) return p.tensor;
  malformed("a recorded parameter does not train here", name, "one of the method's parameters");
}

int64_t batchesOf(const Case& golden) {
  const int64_t count = golden.get(golden.has("batch/pixel_values") ? "batch/pixel_values" : "batch/input_ids").size(0);
  if (count < 1) malformed("the case has no batch", "0", "at least one");
  return count;
}

OptimizerSettings optimizerOf(const nlohmann::json& meta, double& learningRate) {
  if (!meta.contains("optimizer") || !meta["optimizer"].is_object())
    malformed("the case has no optimizer", "nothing", "an object");
  const auto& o = meta["optimizer"];
  OptimizerSettings out;
  const std::string name = text(o, "name");
  if (name.find("SGD") != std::string::npos) {
    out.name = "sgd";
    out.momentum = numberOr(o, "momentum", 0);
  } else if (name.find("AdamW") == std::string::npos) {
    malformed("the case names an unknown optimizer", name, "AdamW or SGD");
  }
  if (auto betas = o.find("betas"); betas != o.end() && betas->is_array() && betas->size() == 2) {
    out.beta1 = (*betas)[0].get<double>();
    out.beta2 = (*betas)[1].get<double>();
  }
  out.eps = numberOr(o, "eps", 1e-8);
  out.weightDecay = numberOr(o, "weight_decay", 0);
  learningRate = number(o, "lr");
  return out;
}

Schedule scheduleOf(const nlohmann::json& meta, int64_t steps) {
  const std::string name = text(meta, "schedule").empty() ? "constant" : text(meta, "schedule");
  auto schedule = makeSchedule(name, static_cast<int64_t>(numberOr(meta, "warmup_steps", 0)), 0, steps);
  if (!schedule) throw ErrorException(schedule.error());
  return *schedule;
}

double clippingOf(const nlohmann::json& meta) {
  auto clip = meta.find("clipping");
  if (clip == meta.end() || clip->is_null() || *clip == "none") return 0;
  if (clip->is_number()) return clip->get<double>();
  malformed("the case's clipping is not a number", clip->dump(), "none or a norm");
}

class TrainingCheck {
 public:
  TrainingCheck(const Case& golden, Model& model, Method& method, Findings& findings, bool peft, OwnName own)
      : m_golden(golden),
        m_model(model),
        m_method(method),
        m_findings(findings),
        m_own(std::move(own)),
        m_parameters(trainedParameters(golden, method, peft, m_own)) {
    const std::string groups = golden.meta().contains("optimizer") ? text(golden.meta()["optimizer"], "groups") : "";
    if (groups.empty() || groups.find("one group") != std::string::npos)
      for (auto& p : m_parameters) p.decay = true;
    m_batches = batchesOf(golden);
    m_losses = golden.get("losses").to(at::kDouble);
    // A loss before each step, and after the last where the recording has one more.
    m_steps = m_losses.size(0) - 1;
    if (!golden.namesUnder(fmt::format("step{}/", m_steps + 1)).empty()) ++m_steps;
    if (m_steps < 1) malformed("the case has no step", "0", "at least one");
  }

  void run() {
    takeStart();
    compareBase();
    compareCoded();
    setFrozen();
    setInit();
    if (const double trained = numberOr(m_golden.meta(), "trainable_parameters", -1); trained >= 0) {
      int64_t count = 0;
      for (const auto& p : m_parameters) count += p.tensor.numel();
      for (const std::string& name : m_golden.namesUnder("init/"))  // what trains there and is no part of any output
        if (name.find(".bias") != std::string::npos && m_own(name.substr(5)).empty()) count += m_golden.get(name).numel();
      m_findings.equal("trainable parameters", count, static_cast<int64_t>(trained));
    }
    double learningRate = 0;
    auto made = makeOptimizer(m_parameters, optimizerOf(m_golden.meta(), learningRate));
    if (!made) throw ErrorException(made.error());
    Optimizer& optimizer = **made;
    const Schedule schedule = scheduleOf(m_golden.meta(), m_steps);
    const double clipping = clippingOf(m_golden.meta());
    const Tolerance lossTolerance{m_golden.tolerance("loss_atol", 2e-5), m_golden.tolerance("loss_rtol", 0)};

    m_method.onStart(optimizer);
    compareLogits("logits0", "");
    for (int64_t t = 0; t < m_steps; ++t) {
      for (const auto& p : m_parameters) p.tensor.mutable_grad() = at::Tensor();
      ForwardContext context;
      context.training = true;  // dropout is 0 in every case
      context.step = t;
      const at::Tensor loss = lossOf(t % m_batches, context);
      m_findings.close(fmt::format("loss {}", t), loss.reshape({1}), m_losses[t].reshape({1}), lossTolerance);
      loss.backward();
      if (t == 0) compareGradients();
      const double rate = learningRate * schedule.factor(t);
      if (auto norm = clipGradients(m_parameters, clipping); !norm) throw ErrorException(norm.error());
      const StepInfo info{t, m_steps, rate};
      m_method.beforeStep(info, optimizer);
      optimizer.step(rate);
      m_method.afterStep(info, optimizer);
      compareParameters(t + 1);
      compareEntries(t + 1);
    }
    if (m_losses.size(0) > m_steps) {
      const at::NoGradGuard noGrad;
      ForwardContext context;
      m_findings.close(fmt::format("loss {}", m_steps), lossOf(0, context).reshape({1}), m_losses[m_steps].reshape({1}),
                       lossTolerance);
    }
    compareLogits(fmt::format("logits{}", m_steps), "");
    compareMerged();
  }

 private:
  PackedBatch batch(int64_t index) const {
    return pack(readBatch(m_golden, "batch/", index), m_model.head(), m_model.numLabels());
  }

  // With what the method adds, as the recordings have it.
  at::Tensor lossOf(int64_t index, ForwardContext& context) {
    const at::Tensor loss = m_model.loss(batch(index), context), term = m_method.lossTerm();
    return term.defined() ? loss + term : loss;
  }

  // AdaLoRA's E of all modules by name, after the step's pruning.
  void compareEntries(int64_t step) {
    const std::string key = fmt::format("E_after_alloc/step{}", step);
    if (!m_golden.has(key)) return;
    std::map<std::string, at::Tensor> entries;
    for (const OptimizedParameter& p : m_parameters)
      if (p.name.ends_with(".lora_E")) entries[p.name] = p.tensor.detach().reshape(-1);
    std::vector<at::Tensor> inOrder;
    for (const auto& [name, value] : entries) inOrder.push_back(value);
    const at::Tensor all = at::cat(inOrder), theirs = m_golden.get(key);
    m_findings.close(key, all, theirs, {m_golden.tolerance("step20_atol", 5e-4), 0});
    m_findings.equal(key + ", pruned", all.eq(0).sum().item<int64_t>(), theirs.eq(0).sum().item<int64_t>());
  }

  // Recorded values under a prefix, by our parameter's tensor.
  template <typename Use>
  void forRecorded(const std::string& prefix, const Use& use) {
    for (const std::string& name : m_golden.namesUnder(prefix)) {
      const std::string plain = m_own(name.substr(prefix.size()));
      if (plain.empty()) continue;
      use(name, findParameter(m_parameters, m_model, plain), matrixFromFile(plain, m_golden.get(name)));
    }
  }

  // A start whose factors are singular vectors of different triplets: each vector's sign is free, and with them that of
  // what is taken out of the weight. Ours are compared up to it; then theirs are the start.
  void takeStart() {
    if (m_golden.namesUnder("loraga_grad/").empty()) return;
    auto state = m_method.state();
    for (const FactorPair& pair : m_method.factorPairs()) {
      const std::string site = pair.site->name, recorded = "init/" + std::string(kPeftPrefix) + site;
      const at::Tensor a = m_golden.get(recorded + ".lora_A.weight"), b = m_golden.get(recorded + ".lora_B.weight");
      m_findings.close("A of " + site, pair.A.detach() * (pair.A.detach() * a).sum(1, true).sign(), a, {2e-5, 0});
      m_findings.close("B of " + site, pair.B.detach() * (pair.B.detach() * b).sum(0, true).sign(), b, {2e-5, 0});
      state.at(site + ".start_A") = a;
      state.at(site + ".start_B") = b;
    }
    if (auto ok = m_method.loadState(state); !ok) throw ErrorException(ok.error());
    setInit();
  }

  // What a start left of the base weights. Its factors are compared as the product that they took out: singular vectors
  // share a free sign.
  void compareBase() {
    const Tolerance tolerance{1e-6, 0};
    std::map<std::string, at::Tensor> products;
    for (const FactorPair& pair : m_method.factorPairs())
      products[pair.site->name] = pair.B.detach().mm(pair.A.detach());
    for (const std::string& name : m_golden.namesUnder("base/")) {
      const std::string site = plainPeftName(name.substr(5)).substr(0, plainPeftName(name.substr(5)).rfind('.'));
      m_findings.close(name, m_model.parameters().at(site + ".weight"), m_golden.get(name), tolerance);
      const std::string factors = "init/" + std::string(kPeftPrefix) + site;
      if (products.count(site) && m_golden.has(factors + ".lora_A.weight"))
        m_findings.close("start of " + site, products[site],
                         m_golden.get(factors + ".lora_B.weight").mm(m_golden.get(factors + ".lora_A.weight")),
                         tolerance);
    }
  }

  // The 4-bit weights themselves: codes, and the values that they stand for.
  void compareCoded() {
    for (const LinearSite* site : m_model.sites()) {
      const std::string codes = "packed/" + site->name + ".weight", values = "dequant/" + site->name + ".weight";
      if (!m_golden.has(values)) continue;
      if (!site->coded.defined()) malformed("a recorded 4-bit weight is none here", site->name, "a site in 4 bits");
      if (m_golden.has(codes))
        m_findings.equal(codes, site->coded.packed.ne(m_golden.get(codes).flatten()).sum().item<int64_t>(), int64_t{0});
      m_findings.close(values, site->denseWeight(), m_golden.get(values), {1e-6, 0});
    }
  }

  // Factors that do not train are state of the method.
  void setFrozen() {
    const auto names = m_golden.namesUnder("frozen/");
    if (names.empty()) return;
    auto state = m_method.state();
    for (const std::string& name : names) {
      const std::string plain = plainPeftName(name.substr(7));
      if (!state.count(plain)) malformed("a recorded frozen factor is none here", plain, "a tensor of the method's state");
      state[plain] = m_golden.get(name);
    }
    if (auto ok = m_method.loadState(state); !ok) throw ErrorException(ok.error());
  }

  void setInit() {
    const at::NoGradGuard noGrad;
    forRecorded("init/", [&](const std::string& name, at::Tensor parameter, const at::Tensor& value) {
      if (parameter.sizes() != value.sizes())
        malformed("a recorded start has another shape", name + " " + c10::str(value.sizes()),
                  c10::str(parameter.sizes()));
      parameter.copy_(value);
    });
  }

  void compareGradients() {
    Tolerance tolerance{m_golden.tolerance("grad0_atol", 0), m_golden.tolerance("grad0_rtol", 2e-3)};
    tolerance.relativeToLargest = !m_golden.hasTolerance("grad0_atol");
    forRecorded("grad0/", [&](const std::string& name, const at::Tensor& parameter, const at::Tensor& value) {
      m_findings.close(name, parameter.grad().defined() ? parameter.grad() : at::zeros_like(parameter), value,
                       tolerance);
    });
  }

  void compareParameters(int64_t step) {
    const std::string key = fmt::format("step{}", step);
    if (m_golden.namesUnder(key + "/").empty()) return;
    Tolerance tolerance{m_golden.tolerance(key + "_atol", step == 1 ? 2e-5 : 5e-4),
                        m_golden.tolerance(key + "_rtol", 0)};
    tolerance.quantile99 = true;
    forRecorded(key + "/", [&](const std::string& name, const at::Tensor& parameter, const at::Tensor& value) {
      if (!isNoise(name.substr(key.size() + 1))) m_findings.close(name, parameter, value, tolerance);
    });
  }

  // A gradient that is 0 but for rounding (a key's bias moves no softmax): Adam makes whole steps of the rounding's sign.
  bool isNoise(const std::string& recorded) const {
    constexpr double kRounding = 1e-7;
    if (!m_golden.has("grad0/" + recorded)) return false;
    const double largest = m_golden.get("grad0/" + recorded).abs().max().item<double>();
    return largest > 0 && largest < kRounding;
  }

  void compareLogits(const std::string& name, const std::string& prefix) {
    if (!m_golden.has(prefix + name)) return;
    const at::NoGradGuard noGrad;
    const Tolerance tolerance{m_golden.tolerance("logits_atol", 5e-4), m_golden.tolerance("logits_rtol", 0)};
    ForwardContext context;
    m_findings.close(prefix + name, m_model.logits(batch(0), context),
                     packedRows(m_golden.get(prefix + name), readBatch(m_golden, "batch/", 0)), tolerance);
  }

  void compareMerged() {
    const auto weights = m_golden.namesUnder("merged/weight/");
    const std::string logits = fmt::format("logits{}", m_steps);
    if (weights.empty() && !m_golden.has("merged/" + logits)) return;
    if (auto ok = m_method.merge(m_model); !ok) throw ErrorException(ok.error());
    Tolerance tolerance{m_golden.tolerance(fmt::format("step{}_atol", m_steps), 5e-4), 0};
    tolerance.quantile99 = true;
    for (const std::string& name : weights)
      m_findings.close(name, m_model.parameters().at(name.substr(14)), m_golden.get(name), tolerance);
    compareLogits(logits, "merged/");
  }

  const Case& m_golden;
  Model& m_model;
  Method& m_method;
  Findings& m_findings;
  OwnName m_own;
  std::vector<OptimizedParameter> m_parameters;
  int64_t m_batches = 0, m_steps = 0;
  at::Tensor m_losses;
};

}  // namespace

void compareTraining(const Case& golden, Model& model, Method& method, Findings& findings, bool onlyRecorded,
                     const OwnName& own) {
  TrainingCheck(golden, model, method, findings, onlyRecorded, own).run();
}

NotBuilt checkTraining(const Case& golden, Findings& findings) {
  bool wide = false;
  for (const std::string& name : golden.namesUnder("init/"))
    wide = wide || golden.get(name).scalar_type() == at::kDouble;
  GoldenModel opened = openModel(golden.modelFolder(), wide ? at::kDouble : at::kFloat);
  if (opened.notBuilt) return opened.notBuilt;
  Wanted wanted = wantedMethod(golden, *opened.model);
  if (wanted.notBuilt) return wanted.notBuilt;
  auto method = makeMethod(wanted.settings);
  if (!method) throw ErrorException(method.error());
  StartSupport support;
  support.batches = batchesOf(golden);
  support.batch = [&](int64_t index) {
    return pack(readBatch(golden, "batch/", index), opened.model->head(), opened.model->numLabels());
  };
  (*method)->supportStart(std::move(support));
  if (auto ok = (*method)->attach(*opened.model); !ok) throw ErrorException(ok.error());
  if (golden.meta().contains("scaling"))
    for (const FactorPair& pair : (*method)->factorPairs())
      findings.close("scaling of " + pair.site->name, pair.scaling, number(golden.meta(), "scaling"), {0, 1e-12});
  compareTraining(golden, *opened.model, **method, findings, wanted.settings.name != "full", plainPeftName);
  comparePrefix(golden, **method, findings);
  return std::nullopt;
}

}  // namespace rankscope::golden

#include <regex>

#include "core/methods/peft_format.h"
#include "core/methods/registry.h"
#include "core/optim/registry.h"
#include "tests/golden/check.h"
#include "tests/golden/packing.h"
#include "tests/golden/pair_model.h"

// A recorded trajectory is held twice: replayed (recorded gradients in, A and B compared after each step), and in
// closed loop (our own gradients, from the toy loss or the model), where rounding may grow, with ten times the
// tolerance.

namespace rankscope::golden {

namespace {

constexpr double kClosedLoopFactor = 10;

struct Trajectory {
  std::vector<std::string> sites;
  std::vector<PairModel::Shape> shapes;
  int64_t steps = 0;
  at::ScalarType dtype = at::kFloat;
  MethodSettings method;
  OptimizerSettings optimizer;
  double learningRate = 0;
  bool scalarForm = false;
};

double firstNumber(const std::string& text, const std::string& pattern, double standard) {
  std::smatch match;
  return std::regex_search(text, match, std::regex(pattern)) ? std::stod(match[1].str()) : standard;
}

OptimizerSettings innerOptimizer(const nlohmann::json& hyper) {
  const std::string inner = text(hyper, "inner");
  OptimizerSettings out;
  out.weightDecay = numberOr(hyper, "weight_decay", 0);
  if (const auto betas = hyper.find("betas"); betas != hyper.end() && betas->is_array() && betas->size() == 2) {
    out.beta1 = (*betas)[0].get<double>();
    out.beta2 = (*betas)[1].get<double>();
    return out;
  }
  if (inner.find("SGD") != std::string::npos) {
    out.name = "sgd";
    out.momentum = firstNumber(inner, R"(momentum[ =]*([0-9.eE+-]+))", 0);
  } else if (inner.find("AdamW") != std::string::npos || inner.empty()) {
    out.beta1 = firstNumber(inner, R"(betas \(([0-9.eE+-]+))", 0.9);
    out.beta2 = firstNumber(inner, R"(betas \([0-9.eE+-]+, ?([0-9.eE+-]+))", 0.999);
    out.eps = firstNumber(inner, R"(eps ([0-9.eE+-]+))", 1e-8);
  } else {
    malformed("the case names an unknown inner optimizer", inner, "AdamW or SGD");
  }
  return out;
}

std::string siteName(const std::string& pair) {
  std::string name = plainPeftName(pair);
  if (const size_t at = name.find(".lora_A"); at != std::string::npos) name.resize(at);
  return name;
}

std::string pairKey(size_t i, const char* what) { return fmt::format("p{}/{}", i, what); }

Trajectory readTrajectory(const Case& golden) {
  Trajectory out;
  const auto& meta = golden.meta();
  const auto& hyper = meta.contains("hyper") ? meta["hyper"] : meta;
  out.learningRate = hyper.contains("lr_A") ? number(hyper, "lr_A") : number(hyper, "lr");
  out.optimizer = innerOptimizer(hyper);
  size_t count = 0;
  while (golden.has(pairKey(count, "A"))) ++count;
  if (count == 0) malformed("the case holds no pair", "nothing", "p0/A and p0/B");
  for (size_t i = 0; i < count; ++i) {
    const at::Tensor a = golden.get(pairKey(i, "A")), b = golden.get(pairKey(i, "B")),
                     gA = golden.get(pairKey(i, "gA"));
    const at::Tensor gB = golden.get(pairKey(i, "gB"));
    if (a.dim() != 3 || b.dim() != 3 || a.size(1) != b.size(2) || a.size(0) < 2 || a.size(0) != b.size(0) ||
        gA.dim() != 3 || gB.dim() != 3 || gA.size(0) != a.size(0) - 1 || gB.size(0) != b.size(0) - 1)
      malformed("a pair's shapes do not fit together", fmt::format("{} {}", c10::str(a.sizes()), c10::str(b.sizes())),
                "A [T+1, r, in], B [T+1, out, r], gA and gB [T, …]");
    std::string name = fmt::format("pair.{}", i);
    if (auto pairs = meta.find("pairs");
        pairs != meta.end() && pairs->is_array() && i < pairs->size() && (*pairs)[i].is_string())
      name = siteName((*pairs)[i].get<std::string>());
    out.sites.push_back(name);
    out.shapes.push_back({name, b.size(1), a.size(2)});
    out.method.rankPattern[name] = a.size(1);
    out.method.alphaPattern[name] = numberOr(hyper, "scaling", 1.0) * static_cast<double>(a.size(1));
    out.steps = a.size(0) - 1;
    out.dtype = a.scalar_type();
  }
  out.method.targetModules = out.sites;
  out.method.options["warmup_steps"] = static_cast<int64_t>(numberOr(hyper, "warmup_steps", 0));
  out.method.options["interval"] = static_cast<int64_t>(numberOr(hyper, "interval", 1));
  return out;
}

bool isOtherRule(const std::string& method) {
  return method == "LoRA-Pro" || method == "LoRA-RITE" || method == "PrecLoRA" || method == "peft-riemannian" ||
         method == "NoRA" || method == "peft-loraplus";
}

// The method's name and options as the case's own words tell them.
void chooseOtherRule(const Case& golden, const std::string& method, Trajectory& trajectory) {
  const auto& meta = golden.meta();
  const auto& hyper = meta.contains("hyper") ? meta["hyper"] : meta;
  const std::string what = text(golden.meta(), "what");
  MethodSettings& settings = trajectory.method;
  settings.options = nlohmann::json::object();
  const auto take = [&](const char* theirs, const char* ours) {
    if (const auto found = hyper.find(theirs); found != hyper.end()) settings.options[ours] = *found;
  };
  if (method == "LoRA-Pro") {
    settings.name = "lora_pro";
    settings.options["counts_ahead"] = true;
    settings.options["bf16_second_moment"] = golden.name().find("official_bf16") != std::string::npos;
  } else if (method == "LoRA-RITE") {
    settings.name = "lora_rite";
    take("eps", "eps");
    take("update_skipping", "update_skipping");
    take("clip_unmagnified_grad", "clip_unmagnified");
    take("balance_param", "balance");
  } else if (method == "peft-loraplus") {
    settings.name = "loraplus";
    take("ratio", "lr_ratio");
  } else if (method == "NoRA") {
    settings.name = "nora_plus";
    take("reg", "damping");
  } else {
    settings.name = "preclora";
    take("reg", "damping");
    const bool descent = what.rfind("scaled GD", 0) == 0;
    if (descent) trajectory.optimizer.name = "sgd";
    if (method == "PrecLoRA" && !descent) {
      settings.options["variant"] = "released";
      take("eps", "eps");
      take("correct_bias", "correct_bias");
    }
  }
}

// A method and optimizer on a model, the factors set to the recorded start.
struct Rig {
  std::unique_ptr<Method> method;
  std::unique_ptr<Optimizer> optimizer;
  std::vector<FactorPair> pairs;
};

Rig makeRig(const Case& golden, const Trajectory& trajectory, Model& model) {
  Rig rig;
  auto method = makeMethod(trajectory.method);
  if (!method) throw ErrorException(method.error());
  rig.method = std::move(method).value();
  if (auto ok = rig.method->attach(model); !ok) throw ErrorException(ok.error());
  auto parameters = rig.method->trainable();
  for (auto& p : parameters) p.decay = true;  // one group, as recorded
  auto optimizer = makeOptimizer(parameters, trajectory.optimizer);
  if (!optimizer) throw ErrorException(optimizer.error());
  rig.optimizer = std::move(optimizer).value();
  rig.method->onStart(*rig.optimizer);

  // In the order of the recording, whatever the order of the model's sites.
  const auto all = rig.method->factorPairs();
  for (const std::string& name : trajectory.sites) {
    auto found = std::find_if(all.begin(), all.end(), [&](const FactorPair& p) { return p.site->name == name; });
    if (found == all.end()) malformed("a recorded pair is no site of the model", name, "an adapted site");
    rig.pairs.push_back(*found);
  }
  // What a start without B = 0 took out of the weight is put back: the recording starts from its own factors.
  for (const FactorPair& pair : rig.pairs)
    if (const at::Tensor original = rig.method->originalWeight(*pair.site); original.defined())
      model.parameters().replace(pair.site->name + ".weight", original);
  model.rebind();
  const at::NoGradGuard noGrad;
  for (size_t i = 0; i < rig.pairs.size(); ++i) {
    at::Tensor a = rig.pairs[i].A, b = rig.pairs[i].B;
    if (a.sizes() != golden.get(pairKey(i, "A"))[0].sizes() || b.sizes() != golden.get(pairKey(i, "B"))[0].sizes())
      malformed("a recorded pair does not fit the site", rig.pairs[i].site->name, "the model's own shapes");
    a.copy_(golden.get(pairKey(i, "A"))[0]);
    b.copy_(golden.get(pairKey(i, "B"))[0]);
  }
  return rig;
}

void step(Rig& rig, const Trajectory& trajectory, int64_t t) {
  const StepInfo info{t, trajectory.steps, trajectory.learningRate};
  rig.method->beforeClipping(info);
  rig.method->beforeStep(info, *rig.optimizer);
  rig.optimizer->step(trajectory.learningRate);
  rig.method->afterStep(info, *rig.optimizer);
}

void compareFactors(const Case& golden, const Rig& rig, int64_t t, const std::string& how, const Tolerance& tolerance,
                    Findings& findings) {
  for (size_t i = 0; i < rig.pairs.size(); ++i) {
    findings.close(fmt::format("{} p{}/A after step {}", how, i, t), rig.pairs[i].A, golden.get(pairKey(i, "A"))[t],
                   tolerance);
    findings.close(fmt::format("{} p{}/B after step {}", how, i, t), rig.pairs[i].B, golden.get(pairKey(i, "B"))[t],
                   tolerance);
  }
}

void replay(const Case& golden, const Trajectory& trajectory, const Tolerance& tolerance, Findings& findings) {
  PairModel model(trajectory.shapes, trajectory.dtype);
  Rig rig = makeRig(golden, trajectory, model);
  for (int64_t t = 0; t < trajectory.steps; ++t) {
    for (size_t i = 0; i < rig.pairs.size(); ++i) {
      rig.pairs[i].A.mutable_grad() = golden.get(pairKey(i, "gA"))[t].clone();
      rig.pairs[i].B.mutable_grad() = golden.get(pairKey(i, "gB"))[t].clone();
    }
    step(rig, trajectory, t);
    compareFactors(golden, rig, t + 1, "replay", tolerance, findings);
  }
  for (size_t i = 0; i < rig.pairs.size(); ++i)
    for (const auto& [letter, factor] : {std::pair{"A", rig.pairs[i].A}, std::pair{"B", rig.pairs[i].B}}) {
      const std::string key = fmt::format("p{}/{}/", i, letter);
      const MomentView moments = rig.optimizer->moments(factor);
      if (golden.has(key + "exp_avg_end"))
        findings.close(key + "exp_avg", moments.first, golden.get(key + "exp_avg_end"), tolerance);
      if (golden.has(key + "exp_avg_sq_end"))
        findings.close(key + "exp_avg_sq", moments.second, golden.get(key + "exp_avg_sq_end"), tolerance);
    }
}

template <typename Loss>
void closedLoop(const Case& golden, const Trajectory& trajectory, Model& model, const Tolerance& tolerance,
                const Loss& loss, Findings& findings) {
  Rig rig = makeRig(golden, trajectory, model);
  const at::Tensor losses = golden.has("losses") ? golden.get("losses") : at::Tensor();
  for (int64_t t = 0; t <= trajectory.steps; ++t) {
    for (const OptimizedParameter& p : rig.method->trainable()) p.tensor.mutable_grad() = at::Tensor();
    const at::Tensor value = loss(rig, t < trajectory.steps ? t : 0);
    if (losses.defined() && t < losses.size(0))
      findings.close(fmt::format("closed loop, loss {}", t), value.reshape({1}), losses[t].reshape({1}), tolerance);
    if (t == trajectory.steps) break;
    value.backward();
    step(rig, trajectory, t);
  }
  compareFactors(golden, rig, trajectory.steps, "closed loop", tolerance, findings);
}

}  // namespace

NotBuilt checkOptimizer(const Case& golden, Findings& findings) {
  const auto& meta = golden.meta();
  const std::string method = text(meta, "method"), what = text(meta, "what");
  const bool known = method == "RefLoRA" || method == "RefLoRA-S" || method == "LoRA";
  if (!known && !isOtherRule(method)) return method.empty() ? "a method of no name" : method;

  Trajectory trajectory = readTrajectory(golden);
  // Both forms are recorded under the paper's name; the description tells the scalar one.
  const bool scalarForm =
      method == "RefLoRA-S" || what.rfind("RefLoRA-S", 0) == 0 || golden.name().find("reflora_s_") != std::string::npos;
  if (known)
    trajectory.method.name = method == "LoRA" ? "lora" : scalarForm ? "reflora_s" : "reflora";
  else
    chooseOtherRule(golden, method, trajectory);

  const Tolerance tolerance{golden.tolerance("A_B_atol", 2e-4), golden.tolerance("A_B_rtol", 2e-3)};
  const Tolerance looser{tolerance.absolute * kClosedLoopFactor, tolerance.relative * kClosedLoopFactor};
  replay(golden, trajectory, tolerance, findings);

  if (meta.contains("toy") && golden.has("p0/M")) {
    std::vector<at::Tensor> targets;
    for (size_t i = 0; i < trajectory.sites.size(); ++i) targets.push_back(golden.get(pairKey(i, "M")));
    PairModel model(trajectory.shapes, trajectory.dtype);
    closedLoop(
        golden, trajectory, model, looser,
        [&](const Rig& rig, int64_t) {
          at::Tensor sum = at::zeros({}, trajectory.dtype);
          for (size_t i = 0; i < targets.size(); ++i)
            sum = sum + 0.5 * (rig.pairs[i].B.mm(rig.pairs[i].A) * rig.pairs[i].scaling - targets[i]).square().sum();
          return sum;
        },
        findings);
  } else if (!text(meta, "model").empty() && golden.has("batch/input_ids")) {
    GoldenModel opened = openModel(golden.modelFolder(), trajectory.dtype);
    if (opened.notBuilt) return opened.notBuilt;
    Model& model = *opened.model;
    const int64_t batches = golden.get("batch/input_ids").size(0);
    closedLoop(
        golden, trajectory, model, looser,
        [&](const Rig&, int64_t t) {
          ForwardContext context;
          return model.loss(pack(readBatch(golden, "batch/", t % batches), model.head(), model.numLabels()), context);
        },
        findings);
  }
  return std::nullopt;
}

}  // namespace rankscope::golden

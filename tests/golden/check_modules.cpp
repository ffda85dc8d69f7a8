// Trainings with inserted modules: bottleneck adapters (adapters, LLM-Adapters) and edits of hidden states (pyreft).
#include <ATen/ATen.h>

#include "core/methods/inserted/reft.h"
#include "core/methods/registry.h"
#include "tests/golden/check.h"
#include "tests/golden/packing.h"
#include "tests/golden/training.h"

namespace rankscope::golden {

namespace {

// What a case names is found in one of three ways of writing adapters.
MethodSettings adapterSettings(const nlohmann::json& meta) {
  MethodSettings settings;
  const auto config = meta.find("config");
  if (config == meta.end()) {
    settings.name = text(meta, "case").find("parallel") != std::string::npos ? "llm_parallel" : "llm_series";
    settings.options = {{"bottleneck_size", meta.at("bottleneck_size")},
                        {"activation", meta.at("non_linearity")},
                        {"adapter_scale", meta.at("scaling")}};
    for (const auto& target : meta.at("targets")) settings.targetModules.push_back(target.get<std::string>());
    return settings;
  }
  settings.name = config->at("is_parallel") == true  ? "parallel"
                  : config->at("mh_adapter") == true ? "houlsby"
                                                     : "pfeiffer";
  settings.options = {{"reduction_factor", config->at("reduction_factor")},
                      {"activation", config->at("non_linearity")},
                      {"adapter_scale", config->at("scaling")}};
  return settings;
}

struct Attached {
  GoldenModel opened;
  std::unique_ptr<Method> method;
};

Attached attach(const Case& golden, const MethodSettings& settings) {
  Attached attached{openModel(golden.modelFolder(), at::kFloat), nullptr};
  if (attached.opened.notBuilt) return attached;
  auto method = makeMethod(settings);
  if (!method) throw ErrorException(method.error());
  attached.method = std::move(*method);
  if (auto ok = attached.method->attach(*attached.opened.model); !ok) throw ErrorException(ok.error());
  return attached;
}

// "….adapters.a.adapter_up.weight": the adapter's own name is ours to give.
std::string adapterName(const std::string& recorded) {
  std::string name = recorded;
  if (const size_t at = name.find(".adapters.a."); at != std::string::npos) name.replace(at, 12, ".adapters.default.");
  return name;
}

}  // namespace

NotBuilt checkAdapters(const Case& golden, Findings& findings) {
  const Attached attached = attach(golden, adapterSettings(golden.meta()));
  if (attached.opened.notBuilt) return attached.opened.notBuilt;
  compareTraining(golden, *attached.opened.model, *attached.method, findings, true, adapterName);
  return std::nullopt;
}

NotBuilt checkEdits(const Case& golden, Findings& findings) {
  const auto& meta = golden.meta();
  MethodSettings settings;
  const std::string name = text(meta, "case");
  settings.name = name.rfind("loreft", 0) == 0 ? "loreft" : "direft";
  settings.rank = static_cast<int64_t>(number(meta, "rank"));
  settings.options["positions"] = text(meta, "positions");
  if (settings.name == "direft") settings.options["orthonormal"] = name.rfind("nodireft", 0) != 0;
  for (const auto& layer : meta.at("layers")) settings.layersToTransform.push_back(layer.dump());
  const Attached attached = attach(golden, settings);
  if (attached.opened.notBuilt) return attached.opened.notBuilt;
  const InsertionPlaces places = attached.opened.model->insertionPlaces();

  // "layer0/learned_source.weight"; a proj_layer's bias is never read there.
  const auto own = [&](const std::string& recorded) -> std::string {
    const size_t slash = recorded.find('/');
    if (recorded.rfind("layer", 0) != 0 || slash == std::string::npos) return recorded;
    const std::string part = recorded.substr(slash + 1);
    if (part == "proj_layer.bias" || part == "R_d_by_r") return {};
    return places.blocks.at(std::stoul(recorded.substr(5, slash - 5))) + ".reft." + part;
  };
  auto state = attached.method->state();
  const std::string base = "/orthogonal_base";
  for (const std::string& constant : golden.namesUnder("const/")) {
    if (!constant.ends_with(base)) continue;
    const OrthogonalBase made = OrthogonalBase::completing(golden.get(constant));
    const std::string module = own(constant.substr(6, constant.size() - 6 - base.size()) + "/rotate_layer.base.");
    state[module + "reflectors"] = made.reflectors;
    state[module + "factors"] = made.factors;
    state[module + "signs"] = made.signs;
  }
  if (auto ok = attached.method->loadState(state); !ok) throw ErrorException(ok.error());

  const auto compareRows = [&](const std::string& prefix, const Tolerance& tolerance) {
    for (const std::string& recorded : golden.namesUnder(prefix)) {
      if (!recorded.ends_with("/R_d_by_r")) continue;
      const std::string layer = recorded.substr(prefix.size(), recorded.size() - prefix.size() - 9);
      const at::Tensor ours =
          attached.method->adapterTensors().at("base_model.model." + own(layer + "/rotate_layer.weight"));
      findings.close(recorded, ours, golden.get(recorded), tolerance);
    }
  };
  compareRows("init/", {1e-6, 0});
  compareTraining(golden, *attached.opened.model, *attached.method, findings, true, own);
  compareRows("step20/", {golden.tolerance("step20_atol", 5e-4), 0});
  return std::nullopt;
}

}  // namespace rankscope::golden

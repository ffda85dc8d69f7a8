#include "core/methods/peft_format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>

#include "core/config/atomic_file.h"
#include "core/config/json_text.h"
#include "core/io/safetensors_writer.h"
#include "core/methods/adapter_file.h"
#include "core/methods/inserted_file.h"
#include "core/methods/registry.h"
#include "core/methods/site_selection.h"

namespace rankscope {

namespace {

using nlohmann::json;

constexpr const char* kConfigName = "adapter_config.json";
constexpr const char* kTensorsName = "adapter_model.safetensors";

// PEFT names the modules it saves whole: the outermost that holds nothing but the head ("classifier" for
// classifier.dense.weight, "bert.pooler" for bert.pooler.dense.weight).
std::vector<std::string> headModules(const Model& model) {
  const std::vector<std::string> head = model.headParameters();
  const auto holdsOnlyHead = [&](const std::string& module) {
    for (const NamedTensor& entry : model.parameters().entries())
      if (entry.name.rfind(module + ".", 0) == 0 && std::find(head.begin(), head.end(), entry.name) == head.end())
        return false;
    return true;
  };
  std::vector<std::string> out;
  for (const std::string& name : head) {
    size_t end = name.find('.');
    while (!holdsOnlyHead(name.substr(0, end)) && name.find('.', end + 1) != std::string::npos)
      end = name.find('.', end + 1);
    const std::string module = name.substr(0, end);
    if (std::find(out.begin(), out.end(), module) == out.end()) out.push_back(module);
  }
  return out;
}

json wholeOrReal(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? json(static_cast<int64_t>(value)) : json(value);
}

Error badConfig(const std::string& key, const std::string& found, const std::string& expected,
                const std::string& hint) {
  return {ErrorCode::BadInput,
          "The adapter's config cannot be used",
          std::string(kConfigName) + ":" + key,
          found,
          expected,
          hint};
}

// Switches of PEFT that change what an adapter computes and that are not built here.
constexpr const char* kForeignSwitches[] = {"use_bdlora",
                                            "use_qalora",
                                            "lora_bias",
                                            "velora_config",
                                            "arrow_config",
                                            "layer_replication",
                                            "kasa_config",
                                            "target_parameters",
                                            "trainable_token_indices",
                                            "alora_invocation_tokens"};

bool isSet(const json& value) {
  return !(value.is_null() || value == false || (value.is_structured() && value.empty()));
}

Result<std::vector<std::string>> stringList(const json& config, const char* key) {
  std::vector<std::string> out;
  auto found = config.find(key);
  if (found == config.end() || found->is_null()) return out;
  if (found->is_string()) return std::vector<std::string>{found->get<std::string>()};
  if (!found->is_array()) return badConfig(key, found->dump(), "a name or a list of names", "Correct the file.");
  for (const json& entry : *found) {
    if (!entry.is_string()) return badConfig(key, entry.dump(), "a name", "Correct the file.");
    out.push_back(entry.get<std::string>());
  }
  return out;
}

Result<double> numberOf(const json& config, const char* key, double standard) {
  auto found = config.find(key);
  if (found == config.end() || found->is_null()) return standard;
  if (!found->is_number()) return badConfig(key, found->dump(), "a number", "Correct the file.");
  return found->get<double>();
}

Result<int64_t> rankOf(const json& config, const char* key, double standard) {
  auto rank = numberOf(config, key, standard);
  if (!rank) return rank.error();
  if (!(*rank >= 1 && *rank <= 65536 && *rank == std::floor(*rank)))
    return badConfig(key, fmt::format("{}", *rank), "a whole number 1 … 65536", "Correct the file.");
  return static_cast<int64_t>(*rank);
}

// AdaLoRA counts its phases in steps of its own run; here they are shares of whatever run goes on from it.
Result<void> readAdaLora(const json& config, MethodSettings& s) {
  auto rank = rankOf(config, "init_r", 12), target = rankOf(config, "target_r", 8);
  for (const auto* value : {&rank, &target})
    if (!*value) return value->error();
  s.rank = *rank;
  if (!(s.alpha > 0)) s.alpha = static_cast<double>(s.rank);
  s.options["target_rank"] = std::min(*target, *rank);
  auto total = numberOf(config, "total_step", 0), first = numberOf(config, "tinit", 0),
       last = numberOf(config, "tfinal", 0), interval = numberOf(config, "deltaT", 1);
  for (const auto* value : {&total, &first, &last, &interval})
    if (!*value) return value->error();
  if (*total > 0 && *first >= 0 && *last >= 0 && *first + *last < *total) {
    s.options["initial_share"] = *first / *total;
    s.options["final_share"] = *last / *total;
  }
  s.options["mask_interval"] = static_cast<int64_t>(std::clamp(*interval, 1.0, 1e9));
  for (const auto& [theirs, ours, standard] :
       {std::tuple{"beta1", "importance_smoothing", 0.85}, std::tuple{"beta2", "deviation_smoothing", 0.85},
        std::tuple{"orth_reg_weight", "orthogonality", 0.5}}) {
    auto value = numberOf(config, theirs, standard);
    if (!value) return value.error();
    s.options[ours] = *value;
  }
  return {};
}

// A PiSSA adapter that was not converted: its base is the residual, which follows from the base weights. "pissa_niter_16"
// took so many rounds of subspace iteration.
Result<void> readPissa(const std::string& start, MethodSettings& s) {
  constexpr std::string_view kRounds = "pissa_niter_";
  int64_t rounds = 0;
  if (start.starts_with(kRounds)) {
    const auto [end, failure] =
        std::from_chars(start.data() + kRounds.size(), start.data() + start.size(), rounds);
    if (failure != std::errc() || end != start.data() + start.size() || rounds < 1 || rounds > 1000)
      return badConfig("init_lora_weights", start, "pissa, or pissa_niter_ with 1 … 1000 rounds", "Correct the file.");
    s.options["svd_iterations"] = rounds;
  } else if (start != "pissa") {
    return badConfig("init_lora_weights", start, "pissa or pissa_niter_16", "Correct the file.");
  }
  if (s.name == "lora")
    s.name = "pissa";
  else
    s.options["init"] = "pissa";
  return {};
}

}  // namespace

json commonPeftConfig(const MethodSettings& settings, const Model& model, const std::string& basePath) {
  json config = json::object();  // nlohmann sorts the keys
  config["auto_mapping"] = nullptr;
  config["base_model_name_or_path"] = basePath;
  config["revision"] = nullptr;
  config["inference_mode"] = true;
  switch (model.head()) {
    case HeadKind::CausalLm: config["task_type"] = "CAUSAL_LM"; break;
    case HeadKind::SequenceClassification: config["task_type"] = "SEQ_CLS"; break;
    case HeadKind::TokenSpan: config["task_type"] = "QUESTION_ANS"; break;
    case HeadKind::MaskedLm: config["task_type"] = nullptr; break;  // PEFT has no name for it
    case HeadKind::ImageClassification: config["task_type"] = nullptr; break;
    case HeadKind::None: config["task_type"] = "FEATURE_EXTRACTION"; break;
  }
  std::vector<std::string> whole = headModules(model);
  for (const std::string& module : settings.modulesToSave)
    if (std::find(whole.begin(), whole.end(), module) == whole.end()) whole.push_back(module);
  config["modules_to_save"] = whole.empty() ? json(nullptr) : json(whole);
  return config;
}

json peftConfig(const PeftConfigInput& input) {
  const MethodSettings& s = input.settings;
  const double alphaFactor =
      input.rootScaling ? std::sqrt(static_cast<double>(input.rankFactor)) : static_cast<double>(input.rankFactor);
  json config = commonPeftConfig(s, input.model, input.basePath);
  config["peft_type"] = "LORA";
  config["r"] = s.rank * input.rankFactor;
  config["lora_alpha"] = wholeOrReal(s.alpha * alphaFactor);
  config["lora_dropout"] = s.dropout;
  config["use_rslora"] = input.rootScaling;
  config["use_dora"] = false;
  config["lora_bias"] = false;
  config["bias"] = s.bias;
  // Factors are the same either way; PEFT wants to know which way round the weights under them lie.
  const auto& sites = input.model.sites();
  config["fan_in_fan_out"] = std::any_of(sites.begin(), sites.end(), [](const LinearSite* site) { return site->transposed; });
  const auto init = s.options.find("init");
  config["init_lora_weights"] = init != s.options.end() && *init == "gaussian" ? json("gaussian") : json(true);
  // PEFT finds a layer's number in the names of transformers' language models alone.
  std::vector<std::string> targets = s.targetModules, layers = s.layersToTransform;
  if (!layers.empty() && !input.convolutions.empty()) {
    targets = input.convolutions;
    layers.clear();
  }
  // One regular expression, or all-linear, is a string in PEFT; names are a list.
  const bool asString =
      targets.size() == 1 &&
      (targets.front() == "all-linear" || targets.front().find_first_of("*+?()[]{}|^$\\") != std::string::npos);
  config["target_modules"] = asString ? json(targets.front()) : json(targets);
  config["exclude_modules"] = nullptr;
  config["layers_pattern"] = nullptr;
  config["layers_to_transform"] = nullptr;
  if (!layers.empty()) {
    if (auto filter = LayerFilter::make(layers); filter) {
      json numbers = json::array();
      for (int64_t layer = 0; layer < input.model.numLayers(); ++layer)
        if (filter->contains(layer)) numbers.push_back(layer);
      config["layers_to_transform"] = numbers;
    }
  }
  config["rank_pattern"] = json::object();
  for (const auto& [pattern, rank] : s.rankPattern) config["rank_pattern"][pattern] = rank * input.rankFactor;
  config["alpha_pattern"] = json::object();
  for (const auto& [pattern, alpha] : s.alphaPattern)
    config["alpha_pattern"][pattern] = wholeOrReal(alpha * alphaFactor);
  return config;
}

std::string plainPeftName(const std::string& name) {
  std::string out = name.rfind(kPeftPrefix, 0) == 0 ? name.substr(std::string_view(kPeftPrefix).size()) : name;
  for (const char* wrapper : {".modules_to_save.default", ".modules_to_save", ".base_layer"})
    if (const size_t at = out.find(std::string(wrapper) + "."); at != std::string::npos)
      out.erase(at, std::string_view(wrapper).size());
  for (const char* part :
       {".lora_A", ".lora_B", ".lora_embedding_A", ".lora_embedding_B", ".lora_magnitude_vector", ".lora_E"}) {
    const size_t at = out.find(part);
    if (at == std::string::npos) continue;
    const size_t end = at + std::string_view(part).size();
    // "….lora_A.default.weight", "….lora_A" (the LoRA authors' library and AdaLoRA have no module around a factor),
    // "….lora_magnitude_vector.weight": what stands behind the part says which adapter, not which tensor.
    const std::string behind = out.substr(end);
    const bool named = behind.empty() || (behind.front() == '.' && !behind.ends_with(".bias") &&
                                          (behind.find('.', 1) == std::string::npos || behind.ends_with(".weight")));
    if (!named) continue;
    out.resize(end);
    if (part == std::string_view(".lora_A") || part == std::string_view(".lora_B")) out += ".weight";
  }
  return out;
}

Result<MethodSettings> settingsFromPeftConfig(const json& config) {
  if (!config.is_object())
    return badConfig("", config.type_name(), "an object", "Give the file that PEFT or this program wrote.");
  if (describesModules(config)) return settingsFromModulesConfig(config);
  const auto type = config.find("peft_type");
  const bool adaLora = type != config.end() && *type == "ADALORA";
  if (type == config.end() || (*type != "LORA" && !adaLora))
    return badConfig("peft_type", type == config.end() ? "nothing" : type->dump(), "LORA or ADALORA",
                     "Only adapters of LoRA, rsLoRA (RoRA), DoRA, AdaLoRA and prefix tuning can be loaded; merge others "
                     "into their base model with PEFT.");
  for (const char* key : kForeignSwitches)
    if (auto found = config.find(key); found != config.end() && isSet(*found))
      return badConfig(key, found->dump(), "off", "This kind of adapter is not built here; use LoRA, rsLoRA, DoRA or AdaLoRA.");

  MethodSettings s;
  auto flag = [&](const char* key) {
    auto found = config.find(key);
    return found != config.end() && found->is_boolean() && found->get<bool>();
  };
  s.name = flag("use_dora") ? "dora" : flag("use_rslora") ? "rora" : "lora";
  if (flag("use_dora") && flag("use_rslora")) s.options["scaling"] = "root_rank";
  auto rank = rankOf(config, "r", 8);
  if (!rank && !adaLora) return rank.error();
  auto alpha = numberOf(config, "lora_alpha", 8), dropout = numberOf(config, "lora_dropout", 0);
  for (const auto* value : {&alpha, &dropout})
    if (!*value) return value->error();
  s.alpha = *alpha;
  s.dropout = *dropout;
  if (adaLora) {
    s.name = "adalora";
    s.options.erase("scaling");
    if (auto read = readAdaLora(config, s); !read) return read.error();
  } else {
    s.rank = *rank;
  }
  if (auto bias = config.find("bias"); bias != config.end() && bias->is_string()) s.bias = bias->get<std::string>();
  if (auto init = config.find("init_lora_weights"); !adaLora && init != config.end() && init->is_string()) {
    const std::string start = *init;
    if (start.rfind("pissa", 0) == 0) {
      if (auto read = readPissa(start, s); !read) return read.error();
    }
    // These starts take something out of the base weights that cannot be found again from them.
    for (const char* changing : {"olora", "corda", "loftq", "lora_ga"})
      if (start.rfind(changing, 0) == 0)
        return badConfig("init_lora_weights", start, "true, false, gaussian, orthogonal, eva or pissa",
                         "Its start was taken out of the base weights: convert it to LoRA first, with PEFT's "
                         "save_pretrained(…, path_initial_model_for_weight_conversion=…).");
    if (start == "gaussian") s.options["init"] = "gaussian";
  }

  auto targets = stringList(config, "target_modules");
  if (!targets) return targets.error();
  s.targetModules = std::move(targets).value();
  auto saved = stringList(config, "modules_to_save");
  if (!saved) return saved.error();
  s.modulesToSave = std::move(saved).value();
  if (auto layers = config.find("layers_to_transform"); layers != config.end() && !layers->is_null()) {
    const json list = layers->is_array() ? *layers : json::array({*layers});
    for (const json& layer : list) {
      if (!layer.is_number_integer())
        return badConfig("layers_to_transform", layer.dump(), "a layer's number", "Correct the file.");
      s.layersToTransform.push_back(std::to_string(layer.get<int64_t>()));
    }
  }
  for (const char* key : {"rank_pattern", "alpha_pattern"}) {
    auto patterns = config.find(key);
    // AdaLoRA's pattern tells which ranks its file left out; the tensors tell how many.
    if (adaLora || patterns == config.end() || patterns->is_null()) continue;
    if (!patterns->is_object())
      return badConfig(key, patterns->type_name(), "an object of numbers", "Correct the file.");
    for (const auto& [pattern, value] : patterns->items()) {
      const bool ranks = std::string_view(key) == "rank_pattern";
      if (!value.is_number() || (ranks && !value.is_number_unsigned()))
        return badConfig(std::string(key) + "." + pattern, value.dump(), ranks ? "a whole number from 1" : "a number", "Correct the file.");
      if (ranks)
        s.rankPattern[pattern] = static_cast<int64_t>(std::min<uint64_t>(value.get<uint64_t>(), 1 << 30));
      else
        s.alphaPattern[pattern] = value.get<double>();
    }
  }
  return s;
}

Result<void> saveAdapterFolder(const std::filesystem::path& folder, const Method& method, const Model& model,
                               const std::string& basePath) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code)
    return Error{ErrorCode::Io,       "The adapter's folder cannot be made",  folder.string(), code.message(),
                 "a writable folder", "Choose another folder, or free space."};
  NamedTensors tensors;
  for (const auto& [name, tensor] : method.adapterTensors()) tensors.emplace_back(name, tensor);
  if (auto ok = writeSafetensors(folder / kTensorsName, tensors); !ok) return ok.error();
  auto file = AtomicFile::create(folder / kConfigName);
  if (!file) return file.error();
  if (auto ok = file->write(method.adapterConfig(model, basePath).dump(2) + "\n"); !ok) return ok;
  return file->commit();
}

Result<std::unique_ptr<Method>> loadAdapterFolder(const std::filesystem::path& folder, Model& model) {
  auto adapter = readAdapter(folder);
  if (!adapter) return adapter.error();
  if (auto fitted = fitAdapter(*adapter, model); !fitted) return fitted.error();
  auto method = makeMethod(adapter->settings);
  if (!method) return method.error();
  if (auto ok = (*method)->attach(model); !ok) return ok.error();
  if (auto ok = (*method)->loadAdapterTensors(adapter->tensors); !ok) return ok.error();
  return method;
}

}  // namespace rankscope

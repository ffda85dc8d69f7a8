#include "core/methods/adapter_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/config/json_text.h"
#include "core/config/method_kind.h"
#include "core/config/text_shown.h"
#include "core/io/weight_source.h"
#include "core/methods/factor_files.h"
#include "core/methods/peft_format.h"
#include "core/methods/site_selection.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

Error bad(const fs::path& where, std::string what, std::string found, std::string expected, std::string hint) {
  return Error{ErrorCode::BadInput, std::move(what),     where.string(),
               std::move(found),    std::move(expected), std::move(hint)};
}

// Tensors that only other kinds of adapters have, in case their config does not say what they are.
struct ForeignTensor {
  const char *part, *kind;
};
constexpr ForeignTensor kForeign[] = {{".lora_B.bias", "LoRA with a bias of its own"},
                                      {".hada_", "LoHa"},
                                      {".lokr_", "LoKr"},
                                      {".oft_", "OFT"},
                                      {".vera_lambda", "VeRA"},
                                      {"prompt_encoder", "a prompt adapter"},
                                      {".ia3_l", "IA3"}};

Result<std::map<std::string, at::Tensor>> readTensors(const fs::path& path) {
  Result<WeightSource> source = WeightSource::open(path);
  if (!source) return source.error();
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : source->names()) {
    if (name.find(".original_module.") != std::string::npos) continue;  // what the saved module was before training
    const std::string plain = plainPeftName(name);
    for (const ForeignTensor& foreign : kForeign)
      if (plain.find(foreign.part) != std::string::npos)
        return bad(path, fmt::format("the adapter is {}, which is no method here", foreign.kind), shown(name, 200),
                   "LoRA, rsLoRA, DoRA or AdaLoRA", "Merge it into its base model with PEFT and use the merged model.");
    Result<at::Tensor> tensor = source->tensor(name);
    if (!tensor) return tensor.error();
    if (!tensor->is_floating_point())
      return bad(path, "the adapter holds a tensor of whole numbers", shown(name, 200), "numbers",
                 "Save the adapter again.");
    // PEFT writes a saved module's bias twice where biases train as well.
    const at::Tensor value = matrixFromFile(plain, *tensor);
    const auto [entry, isNew] = tensors.emplace(plain, value);
    if (!isNew && !(entry->second.sizes() == value.sizes() && at::equal(entry->second, value)))
      return bad(path, "the adapter holds a tensor under two names", shown(plain, 200), "each once",
                 "Save the adapter again.");
  }
  return tensors;
}

// Every site has both factors, and they have the same rank. Ranks of loralib's files are told from here.
Result<std::map<std::string, int64_t>> ranksOf(const std::map<std::string, at::Tensor>& tensors, const fs::path& path) {
  std::map<std::string, int64_t> ranks;
  for (const std::string& site : factorSites(tensors)) {
    const at::Tensor *a = factorOf(tensors, site, kFactorsA), *b = factorOf(tensors, site, kFactorsB);
    if (!a || !b)
      return bad(path, "a site of the adapter has one factor only", shown(site, 200), "lora_A and lora_B",
                 "Save the adapter again.");
    const at::Tensor &down = *a, &up = *b;
    if (down.dim() != 2 || up.dim() != 2 || down.size(0) != up.size(1) ||
        (down.size(0) < 1 && !tensors.count(site + std::string(kEntries))))
      return bad(path, "factors of a site do not fit each other",
                 fmt::format("{}: A [{}], B [{}]", shown(site, 200), fmt::join(down.sizes().vec(), ", "),
                             fmt::join(up.sizes().vec(), ", ")),
                 "A [r, in], B [out, r]",
                 "Merged projections (query, key and value in one) must be taken apart first.");
    ranks[site] = down.size(0);
  }
  if (ranks.empty())
    return bad(path, "the file holds no adapter", tensors.empty() ? "no tensors" : shown(tensors.begin()->first, 100),
               "tensors named …lora_A…", "Give the folder of a PEFT adapter, or a file of LoRA's factors.");
  return ranks;
}

// The LoRA authors' library: no config beside the tensors.
Result<void> settingsFromTensors(AdapterFile& adapter, const std::map<std::string, int64_t>& ranks,
                                 std::optional<double> alpha, const fs::path& path) {
  if (!alpha)
    return bad(path, "the file does not say the adapter's alpha", "no adapter_config.json", "a number",
               "Give it with --alpha, as it was in training (LoRA's authors used 16 for RoBERTa-base with rank 8).");
  MethodSettings& settings = adapter.settings;
  settings.alpha = *alpha;
  settings.rank = ranks.begin()->second;
  std::set<std::string> kinds;
  for (const auto& [site, rank] : ranks) {
    kinds.insert(site.substr(site.rfind('.') + 1));
    if (rank != settings.rank) settings.rankPattern[site] = rank;
  }
  settings.targetModules.assign(kinds.begin(), kinds.end());
  adapter.remarks.push_back(
      fmt::format("the file has no config: rank {} from its shapes, alpha {} as given", settings.rank, *alpha));
  return {};
}

// Tensors that only one kind of adapter has, and its method here.
struct OwnTensor {
  std::string_view ending;
  const char *method, *config;
};
constexpr OwnTensor kOwn[] = {{kMagnitude, "dora", "use_dora"}, {kEntries, "adalora", "peft_type ADALORA"}};

// The config and the tensors speak of the same kind of adapter; without a config the tensors tell it.
Result<void> checkKind(AdapterFile& adapter, bool configured, const fs::path& path) {
  for (const OwnTensor& own : kOwn) {
    const bool has = std::any_of(adapter.tensors.begin(), adapter.tensors.end(),
                                 [&](const auto& entry) { return entry.first.ends_with(own.ending); });
    const std::string tensors(own.ending.substr(1));
    if (configured && has != (adapter.settings.name == own.method))
      return bad(path, "the config and the tensors disagree on the kind of adapter",
                 has ? fmt::format("{} without {}", tensors, own.config)
                     : fmt::format("{} without {}", own.config, tensors),
                 "both or neither", "Save the adapter again.");
    if (!configured && has && own.ending == kEntries)
      return bad(path, "the file does not say AdaLoRA's first rank, which its scaling needs", "no adapter_config.json",
                 "the folder with both", "Give the folder that save_pretrained wrote.");
    if (!configured && has) adapter.settings.name = own.method;
  }
  return {};
}

}  // namespace

Result<AdapterFile> readAdapter(const fs::path& path, std::optional<double> alpha) {
  std::error_code code;
  const bool folder = fs::is_directory(path, code);
  const fs::path configPath = (folder ? path : path.parent_path()) / "adapter_config.json";
  fs::path weights = path;
  if (folder) {
    weights = path / "adapter_model.safetensors";
    if (!fs::is_regular_file(weights, code) && fs::is_regular_file(path / "adapter_model.bin", code))
      weights = path / "adapter_model.bin";
  }
  AdapterFile adapter;
  bool configured = false;
  if (fs::is_regular_file(configPath, code)) {
    Result<nlohmann::json> config = readJsonFile(configPath);
    if (!config) return config.error();
    Result<MethodSettings> settings = settingsFromPeftConfig(*config);
    if (!settings) return settings.error();
    adapter.settings = std::move(*settings);
    const auto text = [&](const char* key) {
      return config->contains(key) && (*config)[key].is_string() ? (*config)[key].get<std::string>() : std::string();
    };
    adapter.basePath = text("base_model_name_or_path");
    adapter.taskType = text("task_type");
    if (alpha && *alpha != adapter.settings.alpha)
      return bad(configPath, "the adapter has another alpha than the one given",
                 fmt::format("{}", adapter.settings.alpha), fmt::format("{}", *alpha), "Leave --alpha out.");
    configured = true;
  } else if (folder) {
    return bad(path, "the folder holds no adapter", "no adapter_config.json", "a PEFT adapter's folder",
               "Give the folder that save_pretrained wrote, or the file of tensors itself.");
  }
  Result<std::map<std::string, at::Tensor>> tensors = readTensors(weights);
  if (!tensors) return tensors.error();
  adapter.tensors = std::move(*tensors);
  if (methodKind(adapter.settings.name) != MethodKind::LowRank) return adapter;
  Result<std::map<std::string, int64_t>> ranks = ranksOf(adapter.tensors, weights);
  if (!ranks) return ranks.error();
  if (auto agree = checkKind(adapter, configured, path); !agree) return agree.error();
  if (adapter.settings.options.contains("svd_iterations"))
    adapter.remarks.push_back("its start came from a random sketch of the base weights that no file keeps: it is drawn "
                              "anew, as PEFT does, and outputs agree as far as the sketch had converged");
  if (!configured)
    if (auto made = settingsFromTensors(adapter, *ranks, alpha, weights); !made) return made.error();
  return adapter;
}

int64_t headRows(const AdapterFile& adapter) {
  for (const char* name : {"classifier.out_proj.weight", "classifier.weight", "score.weight", "qa_outputs.weight"}) {
    const auto found = adapter.tensors.find(name);
    if (found != adapter.tensors.end() && found->second.dim() == 2) return found->second.size(0);
  }
  return 0;
}

}  // namespace rankscope

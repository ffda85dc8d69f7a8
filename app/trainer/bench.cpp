// rankscope-train bench: tokens per second and peak memory of plain LoRA training on rows of token ids, set up like the
// peer's side (same warm-up, steps, batch, rank, targets), so that the two lines of JSON can be put side by side.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>
#include <optional>

#include "app/trainer/commands.h"
#include "core/config/json_text.h"
#include "core/methods/factor_probes.h"
#include "core/train/packing.h"
#include "core/train/process_memory.h"
#include "core/train/setup.h"

namespace rankscope {
namespace {

constexpr int kWarmUpSteps = 2;

struct BenchArguments {
  std::string name, model, data, method = "lora", dtype = "auto", optimizer = "adamw";
  int threads = 0, steps = 6;
  int64_t rank = 0, batch = 0;
  double alpha = 16;
  std::vector<std::string> targets;
  bool probes = false;
};

struct BenchRows {
  TokenizedSet set;
  bool labelled = false;
};

Result<BenchRows> readRows(const std::string& path) {
  std::ifstream file(path);
  const auto bad = [&](size_t line, const std::string& found) {
    return Error{ErrorCode::BadInput, "a row of the benchmark's data cannot be used", fmt::format("{}:{}", path, line),
                 found, R"({"ids": [whole numbers], "label": class (optional)})", "Write the file with the peer's `make`."};
  };
  if (!file) return bad(0, "no readable file");
  BenchRows rows;
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    if (line.empty()) continue;
    Result<nlohmann::json> row = parseJsonRecord(line, fmt::format("{}:{}", path, number));
    if (!row) return row.error();
    if (!row->is_object() || !row->contains("ids") || !(*row)["ids"].is_array() || (*row)["ids"].empty())
      return bad(number, describeJson(*row));
    std::vector<int32_t> ids;
    for (const nlohmann::json& id : (*row)["ids"]) {
      if (!id.is_number_integer()) return bad(number, describeJson(id));
      ids.push_back(id.get<int32_t>());
    }
    ExampleView example;
    const std::vector<uint8_t> everywhere(ids.size(), 1);
    example.ids = ids;
    rows.labelled |= row->contains("label");
    if (row->contains("label") && (*row)["label"].is_number_integer())
      example.classLabel = (*row)["label"].get<int32_t>();
    else
      example.lossMask = everywhere;
    rows.set.add(example);
  }
  if (rows.set.empty()) return bad(0, "no rows");
  return rows;
}

// What the peer's script uses for a family.
struct FamilyDefaults {
  int64_t batch, rank;
  std::vector<std::string> targets;
};
FamilyDefaults defaultsOf(const std::string& family) {
  if (family == "llama")
    return {4, 8, {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}};
  if (family == "gpt2") return {8, 4, {"c_attn"}};
  return {16, 8, {"query", "value"}};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

int runBench(CommandContext& context, const BenchArguments& arguments) {
  Result<std::filesystem::path> folder = context.places.resolve(arguments.model);
  if (!folder) return context.fail(folder.error());
  Result<BenchRows> rows = readRows(arguments.data);
  if (!rows) return context.fail(rows.error());
  Result<nlohmann::json> config = readModelConfig(*folder);
  if (!config) return context.fail(config.error());
  const std::string family = config->value("model_type", std::string());
  const FamilyDefaults defaults = defaultsOf(family);
  Result<at::ScalarType> dtype = computeDtypeOf(arguments.dtype);
  if (!dtype) return context.fail(dtype.error());
  configureOperators(arguments.threads > 0 ? arguments.threads : at::get_num_threads());

  ModelLoadOptions load;
  load.dtype = *dtype;
  load.head = rows->labelled ? HeadKind::SequenceClassification : HeadKind::CausalLm;
  Result<const MethodEntry*> entry = findMethod(arguments.method);
  if (!entry) return context.fail(entry.error());
  load.keepFloat32 = (*entry)->kind() == MethodKind::Full;
  MethodSettings settings;
  settings.name = arguments.method;
  settings.rank = arguments.rank > 0 ? arguments.rank : defaults.rank;
  settings.alpha = arguments.alpha;
  settings.targetModules = arguments.targets;
  if (arguments.targets.empty() && (*entry)->kind() == MethodKind::LowRank) settings.targetModules = defaults.targets;
  Result<std::unique_ptr<Method>> method = makeMethod(settings);
  if (!method) return context.fail(method.error());
  Result<std::unique_ptr<Model>> model = loadBaseModel(*folder, load, **method);
  if (!model) return context.fail(model.error());
  const DataTask task = rows->labelled ? DataTask::Classification : DataTask::CausalLm;
  StartSupport support;  // a start that looks at gradients sees some rows one by one
  support.batches = std::min<int64_t>(8, static_cast<int64_t>(rows->set.size()));
  support.batch = [&rows, task](int64_t number) {
    const uint32_t index = static_cast<uint32_t>(number);
    return packExamples(rows->set, {&index, 1}, task);
  };
  (*method)->supportStart(std::move(support));
  if (auto attached = (*method)->attach(**model); !attached) return context.fail(attached.error());
  OptimizerSettings optimizerSettings;
  optimizerSettings.name = arguments.optimizer;
  optimizerSettings.weightDecay = 0.01;  // torch.optim.AdamW's default, as the peer runs it
  Result<std::unique_ptr<Optimizer>> optimizer = makeOptimizer((*method)->trainable(), optimizerSettings);
  if (!optimizer) return context.fail(optimizer.error());
  (*method)->onStart(**optimizer);

  Schedule constant;
  constant.kind = Schedule::Kind::Constant;
  StepSettings stepSettings;
  stepSettings.maxGradNorm = 0;  // the peer does not clip
  StepEngine engine(**model, **method, **optimizer, constant, stepSettings);
  const int64_t batchSize = arguments.batch > 0 ? arguments.batch : defaults.batch;
  const int total = arguments.steps + kWarmUpSteps;
  std::vector<double> times, probeTimes;
  int64_t tokens = 0;
  double first = 0;
  std::optional<FactorProbes> probes;
  if (arguments.probes) probes.emplace(**method);
  for (int step = 0; step < total; ++step) {
    std::vector<uint32_t> indices;
    for (int64_t i = 0; i < batchSize; ++i)
      indices.push_back(static_cast<uint32_t>((step * batchSize + i) % static_cast<int64_t>(rows->set.size())));
    const auto start = std::chrono::steady_clock::now();
    const PackedBatch batch = packExamples(rows->set, indices, task);
    Result<StepResult> result = engine.run(step, total, {batch});
    if (!result) return context.fail(result.error());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (step == 0) first = result->loss;
    if (step >= kWarmUpSteps) {
      times.push_back(seconds);
      tokens += result->tokens;
    }
    // Behind a real step, so that the factors and weights lie in memory as they do in training.
    if (probes) {
      const auto begin = std::chrono::steady_clock::now();
      probes->measure();
      if (step >= kWarmUpSteps)
        probeTimes.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    context.detail(fmt::format("step {}: {:.4f} s, loss {:.4f}", step, seconds, result->loss));
  }
  const double sum = std::accumulate(times.begin(), times.end(), 0.0);
  const double stepSeconds = median(times);
  const auto rounded = [](double value, double unit) { return std::round(value * unit) / unit; };  // unit: a power of ten
  // One line, as the peer prints it, with or without --json.
  nlohmann::ordered_json line = {{"case", arguments.name},
                                 {"mode", arguments.method + "-" + computeDtypeName(*dtype)},
                                 {"tokens_per_s", rounded(static_cast<double>(tokens) / sum, 10)},
                                 {"step_s", rounded(stepSeconds, 1e4)},
                                 {"peak_mb", std::round(static_cast<double>(readProcessMemory().peak) / (1 << 20))},
                                 {"first_loss", rounded(first, 1e4)},
                                 {"threads", at::get_num_threads()}};
  if (probes) {
    const auto every = findOption("train.probe_every")->defaultValue.get<double>();
    const double probeSeconds = median(probeTimes);
    line["probe_s"] = rounded(probeSeconds, 1e6);
    line["probe_share"] = rounded(probeSeconds / (every * stepSeconds), 1e6);  // of a step, at the default cadence
  }
  fmt::print("{}\n", line.dump());
  return 0;
}

}  // namespace

void addBenchCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("bench", "Time training on rows of token ids; prints one JSON line");
  auto arguments = std::make_shared<BenchArguments>();
  sub->add_option("CASE", arguments->name, "Name to print: llama_fixed, llama_alpaca, …")->required();
  sub->add_option("--model", arguments->model, "Model folder")->required()->type_name("DIR");
  sub->add_option("--data", arguments->data, "JSON lines of {\"ids\": […], \"label\": …}")->required()->type_name("FILE");
  sub->add_option("--method", arguments->method, "Method")->capture_default_str();
  sub->add_option("--dtype", arguments->dtype, "auto, fp32 or bf16")->capture_default_str();
  sub->add_option("--steps", arguments->steps, "Timed steps, after two that warm up")->capture_default_str()->check(CLI::Range(1, 100000));
  sub->add_option("--batch", arguments->batch, "Sequences a step (default: the peer's)");
  sub->add_option("--rank", arguments->rank, "Rank (default: the peer's)");
  sub->add_option("--alpha", arguments->alpha, "Alpha")->capture_default_str();
  sub->add_option("--targets", arguments->targets, "Adapted matrices (default: the peer's)")->delimiter(',');
  sub->add_flag("--probes", arguments->probes, "Also time the probes of norms and balance, and their share of a step");
  sub->add_option("--threads", arguments->threads, "Threads (default: all)");
  context.run(sub, [&context, arguments] { return runBench(context, *arguments); });
}

}  // namespace rankscope

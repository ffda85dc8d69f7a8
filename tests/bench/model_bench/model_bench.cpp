// One LoRA training step on every linear of a model, timed: forward, backward, AdamW. Reads the rows of the peer's
// benchmark (JSON lines with "ids" and perhaps "label"), takes the same batches, and prints one JSON line.
//   model_bench MODEL ROWS [--batch N] [--rank R] [--steps N] [--targets a,b] [--threads N] [--dtype bf16|fp32]

#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <iostream>

#include "core/models/registry.h"
#include "kernels/ops.h"

using namespace rankscope;

namespace {

class PlainLora final : public SiteAdapter {
 public:
  PlainLora(const LinearSite& site, int64_t rank, double scaling, double dropout) : m_scaling(scaling), m_dropout(dropout) {
    m_a = (at::randn({rank, site.inFeatures}) / std::sqrt(site.inFeatures)).requires_grad_();
    m_b = at::zeros({site.outFeatures, rank}).requires_grad_();
  }
  at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext& context) const override {
    const auto seed = kernels::dropoutSeed(context.dropoutSeed, context.step, context.microBatch);
    return kernels::loraLinear(x, site.weight, site.bias, m_a, m_b, m_scaling, context.training ? m_dropout : 0, seed,
                               context.nextPlace++);
  }
  at::Tensor deltaWeight() const override { return m_b.mm(m_a) * m_scaling; }
  std::optional<LowRankTerm> lowRankTerm() const override { return LowRankTerm{m_a, m_b, m_scaling, m_dropout}; }
  at::Tensor m_a, m_b;

 private:
  double m_scaling, m_dropout;
};

struct AdamW {
  std::vector<at::Tensor> parameters, first, second;
  int64_t t = 0;
  void step(double lr) {
    at::NoGradGuard off;
    ++t;
    for (size_t i = 0; i < parameters.size(); ++i) {
      auto& p = parameters[i];
      const auto& g = p.grad();
      if (!g.defined()) continue;
      p.mul_(1 - lr * 0.01);
      first[i].lerp_(g, 0.1);
      second[i].mul_(0.999).addcmul_(g, g, 0.001);
      const auto denominator = (second[i].sqrt() / std::sqrt(1 - std::pow(0.999, t))).add_(1e-8);
      p.addcdiv_(first[i], denominator, -lr / (1 - std::pow(0.9, t)));
      p.mutable_grad() = at::Tensor();
    }
  }
};

double peakMegabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM", 0) == 0) return std::stod(line.substr(6)) / 1024;
  return 0;
}

PackedBatch packed(const std::vector<nlohmann::json>& rows, bool causal) {
  PackedBatch batch;
  batch.starts = {0};
  std::vector<int64_t> ids, positions, labels;
  for (const auto& row : rows) {
    const auto tokens = row["ids"].get<std::vector<int64_t>>();
    for (size_t i = 0; i < tokens.size(); ++i) {
      ids.push_back(tokens[i]);
      positions.push_back(static_cast<int64_t>(i));
      if (causal) labels.push_back(i + 1 < tokens.size() ? tokens[i + 1] : -100);
    }
    if (!causal) labels.push_back(row["label"].get<int64_t>());
    batch.starts.push_back(static_cast<int64_t>(ids.size()));
  }
  batch.inputIds = at::tensor(ids, at::kLong);
  batch.positionIds = at::tensor(positions, at::kLong);
  batch.labels = at::tensor(labels, at::kLong);
  return batch;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Times LoRA training steps of a model");
  std::string model, data, targets, dtype = kernels::cpuHasBf16() ? "bf16" : "fp32";
  int64_t batchSize = 4, rank = 8, steps = 6, threads = 2;
  bool recompute = false;
  double dropout = 0;
  app.add_option("model", model)->required();
  app.add_option("rows", data)->required();
  app.add_option("--batch", batchSize);
  app.add_option("--rank", rank);
  app.add_option("--steps", steps);
  app.add_option("--threads", threads);
  app.add_option("--targets", targets, "comma-separated kinds; empty: all sites in the blocks");
  app.add_option("--dtype", dtype)->check(CLI::IsMember({"bf16", "fp32"}));
  app.add_option("--dropout", dropout);
  app.add_flag("--recompute", recompute);
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(static_cast<int>(threads));

  const auto config = readModelConfig(model);
  if (!config) return std::cerr << config.error().message() << '\n', 3;
  ModelLoadOptions options;
  options.dtype = dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  const bool causal = (*config)["model_type"] != "bert";
  if (!causal) options.head = HeadKind::SequenceClassification;
  auto loaded = loadModel(model, options);
  if (!loaded) return std::cerr << loaded.error().message() << '\n', 3;
  auto& net = **loaded;
  net.gradientCheckpointing = recompute;

  AdamW optimizer;
  for (auto* site : net.sites()) {
    if (site->layer < 0 || (!targets.empty() && ("," + targets + ",").find("," + site->kind + ",") == std::string::npos))
      continue;
    auto adapter = std::make_shared<PlainLora>(*site, rank, 16.0 / static_cast<double>(rank), dropout);
    for (const auto& p : {adapter->m_a, adapter->m_b}) optimizer.parameters.push_back(p);
    site->adapter = std::move(adapter);
  }
  for (const auto& name : net.headParameters()) {
    net.parameters().replace(name, net.parameters().at(name).to(at::kFloat).clone().requires_grad_());
    optimizer.parameters.push_back(net.parameters().at(name));
  }
  net.rebind();
  for (const auto& p : optimizer.parameters) {
    optimizer.first.push_back(at::zeros_like(p));
    optimizer.second.push_back(at::zeros_like(p));
  }

  std::vector<nlohmann::json> rows;
  std::ifstream file(data);
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) rows.push_back(nlohmann::json::parse(line));
  if (rows.empty()) return std::cerr << "no rows in " << data << '\n', 3;

  std::vector<double> times;
  double seconds = 0, first = 0;
  int64_t tokens = 0;
  for (int64_t step = 0; step < steps + 2; ++step) {
    std::vector<nlohmann::json> chosen;
    for (int64_t i = 0; i < batchSize; ++i)
      chosen.push_back(rows[static_cast<size_t>(step * batchSize + i) % rows.size()]);
    const auto batch = packed(chosen, causal);
    const auto begin = std::chrono::steady_clock::now();
    ForwardContext context;
    context.training = true;
    context.step = step;
    const auto loss = net.loss(batch, context);
    loss.backward();
    optimizer.step(1e-4);
    const auto value = loss.item<double>();
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (step == 0) first = value;
    if (step < 2) continue;
    times.push_back(took);
    seconds += took;
    tokens += batch.tokens();
  }
  std::sort(times.begin(), times.end());
  nlohmann::json out{{"tokens_per_s", static_cast<double>(tokens) / seconds}, {"step_s", times[times.size() / 2]},
                     {"peak_mb", peakMegabytes()}, {"first_loss", first}, {"threads", threads}, {"dtype", dtype}};
  std::cout << out.dump() << '\n';
}

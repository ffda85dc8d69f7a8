#include <cmath>
#include <csignal>
#include <cstdio>
#include <limits>
#include <thread>

#include "core/runlog/control.h"
#include "core/runlog/event_log.h"
#include "core/runlog/heartbeat.h"
#include "core/runlog/run_folder.h"
#include "core/runlog/spectrum_file.h"
#include "tests/support/fake_trainer/fake_trainer.h"

namespace rankscope::test {
namespace {

const char* const kKinds[] = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
constexpr int64_t kKindCount = 7;
constexpr int64_t kWidth = 128;

std::vector<event::SiteInfo> fakeSites(int64_t count) {
  std::vector<event::SiteInfo> sites;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t layer = i / kKindCount;
    const std::string kind = kKinds[i % kKindCount];
    const std::string part = i % kKindCount < 4 ? "self_attn" : "mlp";
    sites.push_back({"model.layers." + std::to_string(layer) + "." + part + "." + kind, kind, layer, kWidth, kWidth, 8});
  }
  return sites;
}

double noise(int64_t step, int64_t salt) {
  uint64_t x = static_cast<uint64_t>(step) * 0x9E3779B97F4A7C15ull + static_cast<uint64_t>(salt) * 0xBF58476D1CE4E5B9ull;
  x ^= x >> 31;
  x *= 0x94D049BB133111EBull;
  x ^= x >> 29;
  return static_cast<double>(x >> 11) / static_cast<double>(1ull << 53) - 0.5;
}

volatile std::sig_atomic_t g_stop = 0;

}  // namespace

int fakeRun(const FakeRunOptions& options) {
  std::signal(SIGTERM, [](int) { g_stop = 1; });
  auto writer = EventWriter::open(options.folder / "events.log");
  if (!writer.ok()) return 1;
  auto& log = **writer;
  auto heart = Heartbeat::start(options.folder);
  ControlReader control(options.folder);
  if (options.life > 1) control.skipPresent();
  const auto sites = fakeSites(options.sites);
  event::Start start;
  start.life = options.life;
  start.host = hostName();
  start.version = "test";
  start.step = options.fromStep;
  start.totalSteps = options.steps;
  start.trainable = 24576;
  start.parameters = 1048576;
  start.device = "cpu";
  start.computeDtype = "fp32";
  start.modelFamily = "llama";
  start.sites = sites;
  log.append(start);
  if (options.life > 1) log.append(event::Rewind{options.fromStep});
  const auto say = [&](event::RunState state, int64_t step, const std::string& detail = {}) {
    log.append(event::State{state, detail, step});
    if (heart.ok()) (*heart)->set(state, step);
  };
  const auto sample = [&](int64_t step) {
    log.append(event::Sample{step, "The Silver Heron is ", step < 20 ? "a a the of the." : "a small café with good service."});
  };
  const auto end = [&](event::RunState state, int64_t step) {
    log.append(event::Checkpoint{step, "checkpoints/step-" + std::to_string(step), event::CheckpointReason::End, 1 << 20, true});
    log.append(event::End{state, step, {{"seconds", 1.0}, {"tokens", step * 512}}});
    (void)log.close();
    if (heart.ok()) (*heart)->finish(state, step);
    return 0;
  };
  say(event::RunState::Loading, options.fromStep, "reading the model");
  if (!options.instant) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  say(event::RunState::Running, options.fromStep);
  log.append(event::Log{"info", "Training on the CPU with 2 threads in fp32."});
  log.append(event::Log{"debug", "No row was left out."});
  bool paused = false;
  for (int64_t step = options.fromStep + 1; step <= options.steps; ++step) {
    do {
      for (const auto& wish : control.poll()) {
        log.append(event::CommandDone{wish.id, commandName(wish.command), step - 1});
        switch (wish.command) {
          case Command::Pause: paused = true; say(event::RunState::Paused, step - 1); break;
          case Command::Continue: paused = false; say(event::RunState::Running, step - 1); break;
          case Command::Checkpoint:
            log.append(event::Checkpoint{step - 1, "checkpoints/step-" + std::to_string(step - 1), event::CheckpointReason::Asked, 1 << 20, false});
            break;
          case Command::Evaluate: log.append(event::Log{"info", "Evaluated by hand."}); break;
          case Command::Sample: sample(step - 1); break;
          case Command::Stop: return end(event::RunState::Stopped, step - 1);
        }
      }
      if (g_stop) return end(event::RunState::Interrupted, step - 1);
      if (paused) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    } while (paused);
    const auto t = static_cast<double>(step) / static_cast<double>(options.steps);
    const event::Point at{step, 2 * t, step * 512, static_cast<double>(step) * 0.1};
    double loss = 1.2 + 2.6 * std::exp(-6 * t) + 0.25 * noise(step, 1);
    if (step % 151 == 70) loss += 25;  // an outlier
    if (step == options.failAt) loss = std::numeric_limits<double>::quiet_NaN();
    log.append(event::Metrics{at,
                              {{"train/loss", loss},
                               {"train/learning_rate", 2e-3 * std::min(1.0, t * 10) * (0.5 + 0.5 * std::cos(3.14159 * t))},
                               {"train/grad_norm", 0.4 + 2 * std::exp(-4 * t) + 0.3 * noise(step, 2)},
                               {"train/tokens_per_second", 5200 + 400 * noise(step, 3)},
                               {"memory/resident", 4.1e8 + 1e6 * t},
                               {"memory/peak", 4.6e8},
                               {"factors/norm_A", 3.2 + 0.1 * t}, {"factors/norm_A/q10", 3.0}, {"factors/norm_A/q90", 3.5 + 0.2 * t},
                               {"factors/norm_B", 2.8 * (1 - std::exp(-4 * t))}, {"factors/norm_B/q10", 2.2 * (1 - std::exp(-4 * t))},
                               {"factors/norm_B/q90", 3.3 * (1 - std::exp(-4 * t))},
                               {"factors/balance_gap", 9 * std::exp(-3 * t)}, {"factors/balance_gap/q10", 7 * std::exp(-3 * t)},
                               {"factors/balance_gap/q90", 12 * std::exp(-3 * t)},
                               {"factors/relative_update", 0.12 * t}, {"factors/relative_update/q10", 0.08 * t},
                               {"factors/relative_update/q90", 0.2 * t}}});
    if (step % 10 == 0) {
      event::Sites values{at, {}};
      for (const char* name : {"norm_A", "norm_B", "balance_gap", "relative_update"}) {
        std::vector<double> each;
        for (int64_t i = 0; i < options.sites; ++i) each.push_back(1 + 0.1 * static_cast<double>(i) + t + 0.05 * noise(step, i + 7));
        values.values.emplace_back(name, std::move(each));
      }
      log.append(values);
    }
    if (step % 50 == 0) {
      say(event::RunState::Evaluating, step);
      log.append(event::Eval{at, {{"eval/loss", 1.35 + 2.5 * std::exp(-5 * t)}, {"eval/accuracy", 0.5 + 0.4 * t}}, true});
      sample(step);
      say(event::RunState::Running, step);
    }
    if (step % 25 == 0) {
      log.append(event::Checkpoint{step, "checkpoints/step-" + std::to_string(step), event::CheckpointReason::Schedule, 1 << 20, false});
    }
    if (step % 60 == 0) log.append(event::Log{"warning", "3 rows were cut at 192 tokens."});
    if (step == options.failAt) {
      log.append(event::Failure{Error{ErrorCode::Training, "the loss is not finite", "step " + std::to_string(step), "nan", "a finite number",
                                      "Lower optim.learning_rate, or compute in fp32."}, step});
      return end(event::RunState::Failed, step);
    }
    log.append(event::Progress{step, options.steps, static_cast<double>(options.steps - step) * 0.1, ""});
    if (heart.ok()) (*heart)->set(event::RunState::Running, step);
    if (!options.instant) std::this_thread::sleep_for(std::chrono::milliseconds(options.milliseconds));
  }
  return end(event::RunState::Finished, options.steps);
}

int fakeSpectrum(const std::filesystem::path& folder, int milliseconds,
                 const std::function<bool(size_t done, size_t total, const std::string& site)>& report) {
  RunSpectrum spectrum;
  spectrum.step = 200;
  spectrum.k = 64;
  spectrum.seconds = 1.5;
  spectrum.created = "2025-01-01T00:00:00Z";
  const auto sites = fakeSites(28);
  for (size_t i = 0; i < sites.size(); ++i) {
    if (!report(i, sites.size(), sites[i].name)) return 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    SiteSpectrum s;
    s.site = sites[i].name;
    s.kind = sites[i].kind;
    s.layer = sites[i].layer;
    s.outFeatures = s.inFeatures = kWidth;
    s.rank = 8;
    s.relativeUpdate = 0.02 + 0.01 * static_cast<double>(i % 7) + 0.02 * static_cast<double>(i / 7);
    s.effectiveRank = 3 + static_cast<double>(i % 5);
    s.stableRank = 2 + 0.3 * static_cast<double>(i % 4);
    s.normA = 3.2;
    s.normB = 2.9;
    s.balanceGap = 1.1 + 0.2 * static_cast<double>(i % 6);
    s.residualBound = 3e-15;
    s.algorithm = "lanczos";
    const int64_t intruders = static_cast<int64_t>(i) % 4;
    for (int64_t j = 0; j < kWidth; ++j) s.sigmaBefore.push_back(static_cast<float>(9 * std::exp(-0.03 * static_cast<double>(j)) + 0.4));
    for (int64_t j = 0; j < 64; ++j) {
      s.sigmaAfter.push_back(s.sigmaBefore[static_cast<size_t>(j)] * (j < 6 ? 1.15f : 1.01f));
      s.maxCos.push_back(j >= 2 && j < 2 + intruders ? 0.28f + 0.05f * static_cast<float>(j) : 0.985f - 0.003f * static_cast<float>(j));
    }
    for (int64_t j = 0; j < 8; ++j) s.deltaSigma.push_back(static_cast<float>(3 * std::exp(-0.5 * static_cast<double>(j))));
    s.cosRows = s.cosColumns = 64;
    for (int64_t a = 0; a < 64; ++a) {
      for (int64_t b = 0; b < 64; ++b) {
        const bool odd = a >= 2 && a < 2 + intruders;
        const int64_t shift = a >= 2 + intruders ? intruders : 0;
        const double near = std::exp(-0.5 * std::pow(static_cast<double>(a - shift - b) / (1 + 0.03 * static_cast<double>(a)), 2));
        s.cos.push_back(static_cast<float>(odd ? 0.15 + 0.12 * noise(a * 64 + b, 5) : std::min(1.0, near + 0.03 * std::abs(noise(a * 64 + b, 9)))));
      }
    }
    spectrum.sites.push_back(std::move(s));
  }
  return writeSpectrum(folder, spectrum).ok() ? 0 : 1;
}

}  // namespace rankscope::test

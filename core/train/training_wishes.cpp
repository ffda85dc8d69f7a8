// TrainingLoop: what it does between passes and steps: wishes, evaluation, samples, probes, checkpoints.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "core/models/generate.h"
#include "core/models/stop_tokens.h"
#include "core/train/evaluation.h"
#include "core/train/training_loop.h"

namespace rankscope {

using event::RunState;

namespace {

// How long a run waits for room on the disk before it gives up; a job of the queue must not wait for ever.
constexpr std::chrono::minutes kDiskPatience{10};

}  // namespace

TrainingLoop::Leave TrainingLoop::leaving() const {
  if (m_control.signalled()) return Leave::Signal;
  return m_control.stopWanted() ? Leave::Stop : Leave::No;
}

void TrainingLoop::waitWhilePaused(RunState during) {
  if (!m_control.pauseWanted() || m_control.leaveWanted()) return;
  const auto start = std::chrono::steady_clock::now();
  m_recorder.state(RunState::Paused, "", m_state.step);
  while (m_control.pauseWanted() && !m_control.leaveWanted()) m_control.waitForWish(100);
  m_pausedSeconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!m_control.leaveWanted()) m_recorder.state(during, "", m_state.step);
}

bool TrainingLoop::serveBetweenPasses(RunState during) {
  if (!m_control.anythingWanted()) return true;
  waitWhilePaused(during);
  return !m_control.leaveWanted();
}

void TrainingLoop::waitForLogSpace() {
  // Events that cannot be written (a full disk) wait in memory; before the queue is full, training waits instead.
  if (!m_recorder.events().status().backlogHigh) return;
  const auto error = m_recorder.events().status().error;
  m_recorder.state(RunState::Paused, error ? error->message() : "the event log cannot be written", m_state.step);
  while (m_recorder.events().status().backlogHigh && !m_control.leaveWanted()) m_control.waitForWish(200);
  m_recorder.state(RunState::Running, "", m_state.step);
}

Result<bool> TrainingLoop::serveBetweenSteps() {
  m_control.setStep(m_state.step);
  waitForLogSpace();
  while (m_control.anythingWanted()) {
    if (m_control.leaveWanted()) return false;
    if (m_control.takeCheckpoint())
      if (auto saved = saveCheckpoint(event::CheckpointReason::Asked); !saved) return saved.error();
    if (m_control.takeEvaluate())
      if (auto evaluated = evaluateNow(); !evaluated) return evaluated.error();
    if (m_control.takeSample())
      if (auto sampled = sampleNow(); !sampled) return sampled.error();
    if (m_control.pauseWanted()) {
      const auto start = std::chrono::steady_clock::now();
      m_recorder.state(RunState::Paused, "", m_state.step);
      // Other wishes are served while paused.
      while (m_control.pauseWanted() && !m_control.leaveWanted() && !m_control.otherWanted()) m_control.waitForWish(100);
      m_pausedSeconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (!m_control.pauseWanted() && !m_control.leaveWanted()) m_recorder.state(RunState::Running, "", m_state.step);
    }
  }
  return true;
}

Result<void> TrainingLoop::evaluateNow() {
  const TokenizedSet& set = m_setup->data.eval;
  if (set.empty()) {
    m_state.lastEvaluatedStep = m_state.step;
    return {};
  }
  m_recorder.state(RunState::Evaluating, "", m_state.step);
  EvaluationOptions options = evaluationOptions(*m_setup);
  options.between = [this](double share) {
    m_recorder.progress(fmt::format("evaluating {:.0f}%", 100 * share));
    return serveBetweenPasses();
  };
  Result<std::optional<Evaluation>> evaluated = evaluate(*m_setup->model, set, m_setup->task, options);
  if (!evaluated) return evaluated.error();
  if (!*evaluated) return {};  // leaving; the loop sees to it
  const std::map<std::string, double>& values = (*evaluated)->values;

  bool best = false;
  if (m_state.step > 0 && m_state.lastEvaluatedStep != m_state.step) {
    const auto found = values.find(m_bestMetric);
    const double value = found == values.end() ? std::nan("") : found->second;
    best = std::isfinite(value) && (m_state.bestStep < 0 || (m_higherIsBetter ? value > m_state.bestValue
                                                                               : value < m_state.bestValue));
    if (best) {
      m_state.bestValue = value;
      m_state.bestStep = m_state.step;
      m_state.badEvaluations = 0;
    } else {
      ++m_state.badEvaluations;
    }
  }
  m_state.lastEvaluatedStep = m_state.step;
  m_state.lastEvaluation = nlohmann::json::object();
  for (const auto& [name, value] : values)
    if (std::isfinite(value)) m_state.lastEvaluation[name] = value;
  m_recorder.evaluation(here(), values, best, (*evaluated)->seconds);
  m_recorder.state(RunState::Running, "", m_state.step);
  if (best) return saveCheckpoint(event::CheckpointReason::Best);
  return {};
}

CheckpointContents TrainingLoop::contents() const {
  CheckpointContents contents;
  contents.trainer = m_state;
  for (const OptimizedParameter& parameter : m_engine->parameters())
    contents.trainable.emplace(parameter.name, parameter.tensor.detach());
  contents.optimizer = m_setup->optimizer->state();
  contents.method = m_setup->method->state();
  return contents;
}

Result<void> TrainingLoop::saveCheckpoint(event::CheckpointReason reason) {
  if (m_lastCheckpointStep == m_state.step && reason != event::CheckpointReason::Asked &&
      reason != event::CheckpointReason::Best)
    return {};
  m_recorder.state(RunState::Checkpointing, "", m_state.step);
  std::vector<NamedTensor> weights;
  for (const OptimizedParameter& parameter : m_engine->parameters()) weights.push_back({parameter.name, parameter.tensor});
  if (const std::string bad = findNotFinite(weights); !bad.empty())
    return Error{ErrorCode::Training, "a trained tensor is not finite", fmt::format("step {}", m_state.step), bad,
                 "finite numbers",
                 "Lower optim.learning_rate, lengthen the warm-up, or train in fp32; no checkpoint was written."};
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    // What led to this checkpoint is on the disk before the checkpoint is: a run that goes on from it never asks again
    // for steps whose events were still in memory.
    const Result<void> synced = m_recorder.events().sync();
    Result<CheckpointInfo> written =
        synced ? writeCheckpoint(m_run.path(), contents()) : Result<CheckpointInfo>(synced.error());
    if (written) {
      m_lastCheckpointStep = m_state.step;
      m_lastCheckpoint = "checkpoints/" + written->path.filename().string();
      m_recorder.checkpoint(*written, reason, m_state.bestStep == m_state.step);
      break;
    }
    if (written.error().code != ErrorCode::Io) return written.error();
    // A full or failing disk: nothing computed so far is given up at once, while a person can still make room.
    if (std::chrono::steady_clock::now() - start > kDiskPatience) return written.error();
    m_recorder.failure(written.error(), m_state.step);
    m_recorder.log("error", fmt::format("{} Trying again every 5 seconds, for {} minutes.", written.error().message(),
                                        kDiskPatience.count()));
    m_recorder.state(RunState::Paused, written.error().message(), m_state.step);
    for (int i = 0; i < 50 && !m_control.leaveWanted(); ++i) m_control.waitForWish(100);
    if (m_control.leaveWanted()) return written.error();
    m_recorder.state(RunState::Checkpointing, "trying again", m_state.step);
  }
  if (auto flushed = m_recorder.events().flush(); !flushed) m_recorder.log("warning", flushed.error().message());
  pruneCheckpoints(m_run.path(), m_config.integer("train.keep_checkpoints"), m_state.bestStep);
  m_recorder.state(RunState::Running, "", m_state.step);
  return {};
}

std::vector<std::vector<int64_t>> TrainingLoop::samplePrompts() {
  std::vector<std::vector<int64_t>> prompts;
  const Tokenizer& tokenizer = *m_setup->tokenizer;
  const std::optional<ChatTemplate>& chat = m_setup->dataSettings.chatTemplate;
  for (const std::string& text : m_config.list("train.sample_prompts")) {
    Result<std::vector<int64_t>> ids = promptIds(tokenizer, text, chat ? &*chat : nullptr);
    if (!ids) m_recorder.log("warning", ids.error().message());
    else prompts.push_back(std::move(*ids));
  }
  // Without prompts of the user's: the beginnings of the first evaluation rows, up to where the answer starts.
  constexpr size_t kRows = 2, kBeginning = 16;
  const TokenizedSet& rows = m_setup->data.eval.empty() ? m_setup->data.train : m_setup->data.eval;
  for (size_t i = 0; prompts.size() < kRows && m_config.list("train.sample_prompts").empty() && i < rows.size(); ++i) {
    const ExampleView row = rows[i];
    size_t end = 0;
    if (m_setup->task == DataTask::Instruction || m_setup->task == DataTask::MultipleChoice)
      while (end < row.length() && row.label(end) == kIgnoreLabel) ++end;
    else
      end = std::min(kBeginning, row.length());
    prompts.emplace_back(row.ids.begin(), row.ids.begin() + static_cast<std::ptrdiff_t>(end));
  }
  std::erase_if(prompts, [](const auto& prompt) { return prompt.empty(); });
  return prompts;
}

Result<void> TrainingLoop::sampleNow() {
  if (m_setup->head != HeadKind::CausalLm) {
    m_recorder.log("warning", "this model continues no text: there is nothing to sample");
    return {};
  }
  const std::vector<std::vector<int64_t>> prompts = samplePrompts();
  if (prompts.empty()) return {};
  m_recorder.state(RunState::Sampling, "", m_state.step);
  GenerateOptions options;
  options.maxNewTokens = m_config.integer("train.sample_tokens");
  options.stopTokens =
      stopTokensOf(m_setup->modelFolder, m_setup->model->config(), m_setup->tokenizer->special().eos);
  if (const auto& chat = m_setup->dataSettings.chatTemplate)
    if (const int32_t end = chatEnd(*chat, *m_setup->tokenizer); end >= 0) options.stopTokens.push_back(end);
  options.seed = m_setup->stepSettings.seed;
  options.onToken = [this](size_t, int64_t) { return serveBetweenPasses(); };
  Result<std::vector<Generated>> samples = generate(*m_setup->model, prompts, options);
  if (!samples) return samples.error();
  for (size_t i = 0; i < samples->size(); ++i) {
    const auto text = [&](const std::vector<int64_t>& ids) {
      return m_setup->tokenizer->decode(std::vector<int32_t>(ids.begin(), ids.end()));
    };
    if ((*samples)[i].end != Generated::End::Cancelled)
      m_recorder.sample(m_state.step, text(prompts[i]), text((*samples)[i].tokens));
  }
  m_recorder.state(RunState::Running, "", m_state.step);
  return {};
}

void TrainingLoop::probe() {
  const FactorStats stats = m_probes->measure();
  std::vector<std::pair<std::string, std::vector<double>>> bySite;
  if (!stats.normA.empty()) bySite.emplace_back("norm_A", stats.normA);
  if (!stats.normB.empty()) bySite.emplace_back("norm_B", stats.normB);
  if (!stats.balanceGap.empty()) bySite.emplace_back("balance_gap", stats.balanceGap);
  if (!stats.relativeUpdate.empty()) bySite.emplace_back("relative_update", stats.relativeUpdate);
  m_recorder.probes(here(), std::move(bySite));
}

Result<void> TrainingLoop::readySpectrum() {
  const SpectrumProbeCost cost = SpectrumProbe::costOf(*m_setup->method);
  if (!probesSpectrum(m_config, cost)) {
    if (m_config.str("train.spectrum") == "auto" && cost.bytes > 0)
      m_recorder.log("info", fmt::format("intruder dimensions are not watched live: the base weights' decompositions would take "
                                         "about {:.0f} min once and {:.1f} GB; train.spectrum=on watches them all the same",
                                         std::ceil(cost.seconds / 60), static_cast<double>(cost.bytes) / 1e9));
    return {};
  }
  Result<SpectrumProbe> made = SpectrumProbe::make(*m_setup->method, m_places.cache, [this](const std::string& what, double share) {
    m_recorder.progress(fmt::format("{} {:.0f}%", what, 100 * share));
    return serveBetweenPasses(RunState::Loading);
  });
  if (!made) return made.error();
  m_spectrum = std::move(*made);
  return {};
}

void TrainingLoop::probeSpectrum() {
  try {
    RunSpectrum spectrum = m_spectrum->measure();
    spectrum.step = m_state.step;
    m_recorder.spectrum(here(), spectrum);
    if (auto kept = keepLiveSpectrum(m_run.path(), spectrum); !kept) m_recorder.log("warning", kept.error().message());
  } catch (const c10::Error& problem) {
    // A decomposition that does not converge is no reason to end a run.
    m_recorder.log("warning", fmt::format("no spectrum at step {}: {}", m_state.step, problem.what_without_backtrace()));
  }
}

}  // namespace rankscope

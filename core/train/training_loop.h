#pragma once
// One life of a run: set up or restore, the loop, the end. Used by trainRun() only; see trainer.h.

#include <memory>
#include <optional>

#include "core/eval/registry.h"
#include "core/methods/factor_probes.h"
#include "core/train/checkpoint.h"
#include "core/train/run_control.h"
#include "core/train/run_recorder.h"
#include "core/train/setup.h"
#include "core/train/spectrum_probe.h"
#include "core/train/trainer.h"

namespace rankscope {

class TrainingLoop {
 public:
  TrainingLoop(const RunFolder& run, const Places& places, const TrainOptions& options, EventWriter& events,
               Heartbeat& heartbeat);
  TrainOutcome run();
  int64_t step() const { return m_state.step; }

 private:
  enum class Leave { No, Stop, Signal };

  Result<void> prepare();
  Result<void> chooseBestMetric();
  Result<void> restore();
  void estimateMemory(const DataShape* data);
  void announceStart();
  Result<event::RunState> loop();
  Result<Leave> oneStep();
  Result<void> afterStep();

  // Wishes; false when the loop is to end.
  bool serveBetweenPasses(event::RunState during = event::RunState::Running);
  Result<bool> serveBetweenSteps();
  void waitWhilePaused(event::RunState during);
  void waitForLogSpace();
  Leave leaving() const;

  Result<void> evaluateNow();
  Result<void> sampleNow();
  Result<void> saveCheckpoint(event::CheckpointReason reason);
  std::vector<std::vector<int64_t>> samplePrompts();
  void probe();
  Result<void> readySpectrum();
  void probeSpectrum();
  TrainOutcome finish(event::RunState state, std::optional<Error> error);

  event::Point here() const;
  bool due(const char* key, bool eachEpoch) const;
  CheckpointContents contents() const;

  const RunFolder& m_run;
  const Places& m_places;
  const TrainOptions& m_options;
  RunRecorder m_recorder;
  RunControl m_control;
  RunConfig m_config;
  std::optional<FoundCheckpoint> m_resumedFrom;
  std::unique_ptr<TrainingSetup> m_setup;
  std::unique_ptr<StepEngine> m_engine;
  std::unique_ptr<FactorProbes> m_probes;
  std::optional<SpectrumProbe> m_spectrum;
  std::optional<RunEstimate> m_estimate;  // made before anything large is loaded
  TrainerState m_state;
  std::string m_bestMetric;  // "loss", "accuracy", …
  bool m_higherIsBetter = false;
  int64_t m_lastCheckpointStep = -1;
  std::string m_lastCheckpoint;
  double m_pausedSeconds = 0;  // within the step under way
};

}  // namespace rankscope

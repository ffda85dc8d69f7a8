#pragma once
// Training a run to its end, or until somebody wants something else of it.

#include "core/runlog/control.h"
#include "core/train/trainer.h"
#include "tests/core/train/train_fixture.h"

namespace rankscope::test {

inline TrainOutcome train(const RunFolder& run, const Home& home, bool resume = false) {
  TrainOptions options;
  options.resume = resume;
  return trainRun(run, home.places, options);
}

// Sends the command once `step` was told of, and lets the training wait until the command was heard, however fast its steps
// are. A run tells of each evaluation, of other steps twice a second at most: the step should be one that is evaluated.
inline TrainOutcome trainUntil(const RunFolder& run, const Home& home, int64_t step, Command command) {
  TrainOptions options;
  bool sent = false;
  options.progress = [&](const TrainProgress& progress) {
    if (sent || progress.step < step) return;
    sent = true;
    const size_t heard = eventsOf<event::CommandDone>(run).size();
    (void)ControlWriter::send(run.path(), command);
    (void)QTest::qWaitFor([&] { return eventsOf<event::CommandDone>(run).size() > heard; }, 20000);
  };
  return trainRun(run, home.places, options);
}

}  // namespace rankscope::test

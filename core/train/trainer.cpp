#include "core/train/trainer.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "core/config/files.h"
#include "core/config/log.h"
#include "core/train/memory_error.h"
#include "core/train/stop_signal.h"
#include "core/train/training_loop.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

// Warnings and errors of the program's log go into the run's own record as well, for as long as this object lives.
class LogCopy {
 public:
  explicit LogCopy(EventWriter& events)
      : m_id(addLogListener([&events](const LogLine& line) {
          if (line.level >= LogLevel::Warning) events.append(event::Log{logLevelName(line.level), line.text});
        })) {}
  ~LogCopy() { removeLogListener(m_id); }
  LogCopy(const LogCopy&) = delete;
  LogCopy& operator=(const LogCopy&) = delete;

 private:
  int m_id;
};

TrainOutcome failedBeforeStart(Error error) {
  TrainOutcome outcome;
  outcome.error = std::move(error);
  return outcome;
}

}  // namespace

int TrainOutcome::exitCode() const {
  if (state == event::RunState::Interrupted) return rankscope::exitCode(ErrorCode::Interrupted);
  if (state == event::RunState::Failed) return error ? rankscope::exitCode(error->code) : 1;
  return 0;
}

Error errorFromException(const std::exception& problem, const RunConfig& config, const std::optional<RunEstimate>& estimate,
                         int64_t step) {
  if (const auto* known = dynamic_cast<const ErrorException*>(&problem)) return known->error();
  if (isOutOfMemory(problem)) return outOfMemoryError(config, estimate, step);
  const auto* fromTorch = dynamic_cast<const c10::Error*>(&problem);
  std::string text = fromTorch ? fromTorch->what_without_backtrace() : problem.what();
  text.erase(std::min(text.find('\n'), text.size()));  // LibTorch's lists of what it could have done help nobody here
  const std::string where = fmt::format("step {}", step + 1);
  return {ErrorCode::Internal, "training stopped on an unexpected failure", where, text, "",
          "This is a defect of rankscope-train; please report it with the run's config.json. The last checkpoint is "
          "intact."};
}

TrainOutcome trainRun(const RunFolder& run, const Places& places, const TrainOptions& options) {
  if (runLiveness(run.path()) == Liveness::Live)
    return failedBeforeStart({ErrorCode::Usage, "the run is going already", run.id(), "a live trainer", "none",
                              "Stop it first: rankscope-train control RUN stop."});
  Result<std::unique_ptr<EventWriter>> events = EventWriter::open(run.eventsFile());
  if (!events) return failedBeforeStart(events.error());
  Result<std::unique_ptr<Heartbeat>> heartbeat = Heartbeat::start(run.path());
  if (!heartbeat) return failedBeforeStart(heartbeat.error());
  const StopSignal signals;
  TrainOutcome outcome;
  {
    const LogCopy copy(**events);
    TrainingLoop loop(run, places, options, **events, **heartbeat);
    outcome = loop.run();
  }
  // The record is closed before the heartbeat says that the run has ended, so that whoever sees the one sees the other.
  if (auto closed = (*events)->close(); !closed && !outcome.error) {
    outcome.error = closed.error();
    outcome.state = event::RunState::Failed;
  }
  (*heartbeat)->finish(outcome.state, outcome.step);
  return outcome;
}

Result<RunFolder> branchRun(const RunFolder& parent, const Places& places, const RunConfig& config, int64_t atStep,
                            std::vector<Error>& warnings, const std::string& id) {
  Result<FoundCheckpoint> found = findGoodCheckpoint(parent.path(), atStep, warnings);
  if (!found) return found.error();
  if (atStep >= 0 && found->info.step != atStep)
    return Error{ErrorCode::Usage, "the run has no good checkpoint at this step", "--at", std::to_string(atStep),
                 fmt::format("the nearest before it is {}", found->info.step),
                 fmt::format("Branch with --at {}.", found->info.step)};
  RunOrigin origin;
  origin.id = id;
  origin.parent = parent.id();
  origin.parentStep = found->info.step;
  Result<RunFolder> child = RunFolder::create(places, config, origin);
  if (!child) return child;
  std::error_code code;
  fs::create_directories(child->checkpoints(), code);
  if (!code) fs::copy(found->info.path, child->checkpoint(found->info.step), fs::copy_options::recursive, code);
  if (code) {
    std::error_code ignored;
    fs::remove_all(child->path(), ignored);
    return systemError(code.value(), "the checkpoint cannot be copied", child->path());
  }
  return child;
}

}  // namespace rankscope

// rankscope-train control: a wish to a run that is going, with its acknowledgement.

#include <chrono>
#include <thread>

#include "app/trainer/commands.h"
#include "core/runlog/control.h"
#include "core/runlog/event_log.h"
#include "core/runlog/heartbeat.h"
#include "core/runlog/run_folder.h"

namespace rankscope {
namespace {

struct ControlArguments {
  std::string run, command;
  double wait = 5;
};

// Step at which the run took the wish up; -1 when it has not said so within `seconds`.
int64_t awaitAcknowledgement(const RunFolder& run, EventCursor cursor, const std::string& id, double seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  int64_t step = -1;
  while (step < 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    Result<EventReader> reader = EventReader::open(run.eventsFile(), cursor);
    if (!reader) continue;
    const auto tail = reader->read([&](const EventRecord& record) {
      if (record.payload.find(id) == std::string_view::npos) return true;
      const Result<event::Event> parsed = event::parseEvent(record.payload);
      if (parsed && std::holds_alternative<event::CommandDone>(parsed->body))
        step = std::get<event::CommandDone>(parsed->body).appliedStep;
      return true;
    });
    if (tail) cursor = reader->cursor();
  }
  return step;
}

}  // namespace

void addControlCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("control", "Ask a run that is going to pause, continue, checkpoint, evaluate, "
                                                 "sample or stop");
  auto arguments = std::make_shared<ControlArguments>();
  sub->add_option("RUN", arguments->run, "Run: uuid, beginning of it, or name")->required();
  sub->add_option("WISH", arguments->command, "pause, continue, checkpoint, evaluate, sample or stop")->required();
  sub->add_option("--wait", arguments->wait, "Seconds to wait for the acknowledgement")->capture_default_str();
  context.run(sub, [&context, arguments]() -> int {
    Result<Command> command = commandFromName(arguments->command);
    if (!command) return context.fail(command.error());
    Result<RunFolder> run = resolveRun(context.places.runs, arguments->run);
    if (!run) return context.fail(run.error());
    const Liveness liveness = runLiveness(run->path());
    if (liveness != Liveness::Live && liveness != Liveness::Unknown)
      return context.fail({ErrorCode::Usage, "the run is not going", run->id(),
                           liveness == Liveness::Absent ? "never started" : "no live trainer", "a run that is going",
                           "Start it with `rankscope-train resume RUN`."});
    EventCursor cursor;
    if (Result<EventReader> reader = EventReader::open(run->eventsFile()); reader) {
      const auto tail = reader->read([](const EventRecord&) { return true; });
      if (tail) cursor = reader->cursor();
    }
    Result<std::string> id = ControlWriter::send(run->path(), *command);
    if (!id) return context.fail(id.error());
    const int64_t step = awaitAcknowledgement(*run, cursor, *id, arguments->wait);
    if (step < 0)
      return context.fail({ErrorCode::Io, "the run has not answered", run->id(), "", "an acknowledgement",
                           "It may be in one very long step; the wish stays in its control.json and will be read."});
    context.print({{"run", run->id()}, {"id", *id}, {"command", commandName(*command)}, {"applied_step", step}},
                  std::string(commandName(*command)) + ": taken up at step " + std::to_string(step));
    return 0;
  });
}

}  // namespace rankscope

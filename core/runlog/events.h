#pragma once
// What a run records, one struct per kind of event. toJson() makes the payload of a frame in events.log, parseEvent()
// reads one back with every count and number checked. Plain values, any thread.
// Numbers that are not finite are NaN here and null in JSON.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/config/result.h"

namespace rankscope::event {

// An adapted or changed linear map; its index in Start::sites is its position in Sites' arrays.
struct SiteInfo {
  std::string name, kind;
  int64_t layer = -1, out = 0, in = 0, rank = 0;
};

// A point in training; every series has its points at these.
struct Point {
  int64_t step = 0;  // optimizer steps taken
  double epoch = 0;
  int64_t tokens = 0;  // trained so far (images, where Start::unit says so)
  double seconds = 0;  // of training so far, pauses left out
};

using Values = std::vector<std::pair<std::string, double>>;  // in the writer's order

struct Start {
  int64_t life = 1;  // 1 at the first start, then one more for each resume
  std::string host;
  int64_t pid = 0;
  std::string version;
  int64_t step = 0;  // 0, or the step resumed from
  int64_t totalSteps = 0;
  int64_t tokensPerEpoch = 0;  // 0: not known
  std::string unit = "tokens";  // what "tokens" count (core/config/task_heads.h)
  std::string device;
  int64_t threads = 0;
  std::string computeDtype;
  int64_t trainable = 0, parameters = 0;
  std::string modelFamily;
  std::string chatTemplate;  // the named template of conversations that "auto" came to; empty: none is used
  std::vector<SiteInfo> sites;
};
// A resumed life continues from `step`: points of earlier lives with a larger step are superseded.
struct Rewind {
  int64_t step = 0;
};
struct Metrics {
  Point at;
  Values values;  // "train/loss", "memory/resident", …
};
struct Sites {
  Point at;
  std::vector<std::pair<std::string, std::vector<double>>> values;  // "norm_A" -> one number per site
};
struct Eval {
  Point at;
  Values values;  // "eval/loss", "eval/accuracy", …
  bool best = false;
};

enum class RunState {
  Queued,
  Loading,
  Running,
  Paused,
  Evaluating,
  Checkpointing,
  Sampling,
  Finished,
  Stopped,
  Interrupted,
  Failed
};
struct State {
  RunState state = RunState::Queued;
  std::string detail;
  int64_t step = 0;
};
struct Progress {
  int64_t step = 0, totalSteps = 0;
  double etaSeconds = 0;  // NaN: not known
  std::string what;
};

enum class CheckpointReason { Schedule, Best, Asked, End, Signal };
struct Checkpoint {
  int64_t step = 0;
  std::string path;  // relative to the run's folder
  CheckpointReason reason = CheckpointReason::Schedule;
  int64_t bytes = 0;
  bool best = false;
};
// A wish of control.json was carried out at `appliedStep`.
struct CommandDone {
  std::string id, command;
  int64_t appliedStep = 0;
};
// An option changed by hand while running.
struct Change {
  int64_t step = 0;
  std::string key;
  nlohmann::json from, to;
};
struct Sample {
  int64_t step = 0;
  std::string prompt, text;
};
struct Log {
  std::string level;  // debug | info | warning | error
  std::string text;
};
struct Failure {
  Error error;
  int64_t step = 0;
};
struct End {
  RunState state = RunState::Finished;
  int64_t step = 0;
  // "values" (last value of each series), "seconds", "tokens", "unit", "peak_memory", "trainable", "parameters", "best_metric",
  // "best_value", "best_step", "checkpoint".
  nlohmann::json summary = nlohmann::json::object();
};
// A kind that this version does not know, kept as it is: readers pass over it.
struct Other {
  std::string kind;
  nlohmann::json body;
};

using Body = std::variant<Start, Rewind, Metrics, Sites, Eval, State, Progress, Checkpoint, CommandDone, Change, Sample,
                          Log, Failure, End, Other>;
struct Event {
  double time = 0;  // unix seconds
  Body body;
};

// The name in the payload: "start", "metrics", "error" (Failure), "command" (CommandDone), …
std::string kindOf(const Body& body);
const char* runStateName(RunState state);
Result<RunState> runStateFromName(std::string_view name);
// Finished, Stopped, Interrupted, Failed: nothing more happens in this life.
bool isFinal(RunState state);
const char* checkpointReasonName(CheckpointReason reason);

// Texts over limits::kEventText are cut, invalid UTF-8 replaced.
nlohmann::json toJson(const Event& event);
Result<Event> fromJson(const nlohmann::json& payload);
// A frame's payload; `where` names it in the error ("events.log, event 17").
Result<Event> parseEvent(std::string_view payload, const std::string& where = "events.log");

double unixTime();  // now

}  // namespace rankscope::event

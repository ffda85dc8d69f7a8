// Events to JSON.
#include <chrono>
#include <cmath>
#include <iterator>

#include "core/config/files.h"
#include "core/config/limits.h"
#include "core/runlog/events.h"

namespace rankscope::event {

using nlohmann::json;

namespace {

constexpr const char* kStates[] = {"queued",   "loading",  "running", "paused",      "evaluating", "checkpointing",
                                   "sampling", "finished", "stopped", "interrupted", "failed"};
constexpr const char* kReasons[] = {"schedule", "best", "asked", "end", "signal"};

std::string text(const std::string& value) { return cleanUtf8(value, limits::kEventText); }
std::string name(const std::string& value) { return cleanUtf8(value, limits::kEventName); }
json number(double value) { return std::isfinite(value) ? json(value) : json(); }

void put(json& out, const Point& at) {
  out["step"] = at.step;
  out["epoch"] = number(at.epoch);
  out["tokens"] = at.tokens;
  out["seconds"] = number(at.seconds);
}

json valuesJson(const Values& values) {
  json out = json::object();
  for (const auto& [key, value] : values) out[name(key)] = number(value);
  return out;
}

struct Writer {
  json& out;

  void operator()(const Start& e) const {
    out["life"] = e.life;
    out["host"] = name(e.host);
    out["pid"] = e.pid;
    out["version"] = name(e.version);
    out["step"] = e.step;
    out["total_steps"] = e.totalSteps;
    if (e.tokensPerEpoch > 0) out["tokens_per_epoch"] = e.tokensPerEpoch;
    out["unit"] = name(e.unit);
    out["device"] = name(e.device);
    out["threads"] = e.threads;
    out["compute_dtype"] = name(e.computeDtype);
    out["trainable"] = e.trainable;
    out["parameters"] = e.parameters;
    out["model_family"] = name(e.modelFamily);
    if (!e.chatTemplate.empty()) out["chat_template"] = name(e.chatTemplate);
    json& sites = out["sites"] = json::array();
    for (const SiteInfo& site : e.sites)
      sites.push_back({{"name", name(site.name)},
                       {"kind", name(site.kind)},
                       {"layer", site.layer},
                       {"out", site.out},
                       {"in", site.in},
                       {"rank", site.rank}});
  }
  void operator()(const Rewind& e) const { out["step"] = e.step; }
  void operator()(const Metrics& e) const {
    put(out, e.at);
    out["values"] = valuesJson(e.values);
  }
  void operator()(const Sites& e) const {
    put(out, e.at);
    json& values = out["values"] = json::object();
    for (const auto& [key, numbers] : e.values) {
      json& array = values[name(key)] = json::array();
      for (const double value : numbers) array.push_back(number(value));
    }
  }
  void operator()(const Eval& e) const {
    put(out, e.at);
    out["values"] = valuesJson(e.values);
    out["best"] = e.best;
  }
  void operator()(const State& e) const {
    out["state"] = runStateName(e.state);
    out["detail"] = text(e.detail);
    out["step"] = e.step;
  }
  void operator()(const Progress& e) const {
    out["step"] = e.step;
    out["total_steps"] = e.totalSteps;
    out["eta_seconds"] = number(e.etaSeconds);
    out["what"] = text(e.what);
  }
  void operator()(const Checkpoint& e) const {
    out["step"] = e.step;
    out["path"] = text(e.path);
    out["reason"] = checkpointReasonName(e.reason);
    out["bytes"] = e.bytes;
    out["best"] = e.best;
  }
  void operator()(const CommandDone& e) const {
    out["id"] = name(e.id);
    out["command"] = name(e.command);
    out["applied_step"] = e.appliedStep;
  }
  void operator()(const Change& e) const {
    out["step"] = e.step;
    out["key"] = name(e.key);
    out["from"] = e.from;
    out["to"] = e.to;
  }
  void operator()(const Sample& e) const {
    out["step"] = e.step;
    out["prompt"] = text(e.prompt);
    out["text"] = text(e.text);
  }
  void operator()(const Log& e) const {
    out["level"] = name(e.level);
    out["text"] = text(e.text);
  }
  void operator()(const Failure& e) const {
    out["code"] = errorCodeName(e.error.code);
    out["what"] = text(e.error.what);
    out["where"] = text(e.error.where);
    out["found"] = text(e.error.found);
    out["expected"] = text(e.error.expected);
    out["hint"] = text(e.error.hint);
    out["step"] = e.step;
  }
  void operator()(const End& e) const {
    out["state"] = runStateName(e.state);
    out["step"] = e.step;
    out["summary"] = e.summary.is_object() ? e.summary : json::object();
  }
  void operator()(const Other& e) const {
    if (e.body.is_object()) out = e.body;
  }
};

}  // namespace

std::string kindOf(const Body& body) {
  // In the order of Body's alternatives; Other carries its own.
  static constexpr const char* kKinds[] = {"start",      "rewind",  "metrics", "sites",  "eval", "state", "progress",
                                           "checkpoint", "command", "change",  "sample", "log",  "error", "end"};
  static_assert(std::size(kKinds) + 1 == std::variant_size_v<Body>);
  if (const auto* other = std::get_if<Other>(&body)) return name(other->kind);
  return kKinds[body.index()];
}

const char* runStateName(RunState state) { return kStates[static_cast<size_t>(state)]; }

Result<RunState> runStateFromName(std::string_view text) {
  for (size_t i = 0; i < std::size(kStates); ++i)
    if (text == kStates[i]) return static_cast<RunState>(i);
  return Error{ErrorCode::BadInput,
               "there is no such state of a run",
               "state",
               cleanUtf8(text, 80),
               "running, finished, …",
               "The record is of another version or damaged."};
}

bool isFinal(RunState state) {
  return state == RunState::Finished || state == RunState::Stopped || state == RunState::Interrupted ||
         state == RunState::Failed;
}

const char* checkpointReasonName(CheckpointReason reason) { return kReasons[static_cast<size_t>(reason)]; }

json toJson(const Event& event) {
  json out = json::object();
  std::visit(Writer{out}, event.body);
  out["kind"] = kindOf(event.body);
  out["t"] = number(event.time);
  return out;
}

double unixTime() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace rankscope::event

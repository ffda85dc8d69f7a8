// Events from JSON: a run's folder may come from elsewhere, so every field is checked for type and size.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/runlog/events.h"

namespace rankscope::event {

using nlohmann::json;

namespace {

constexpr const char* kHint = "The record is damaged or of another program; the events before it are kept.";

// Reads fields of one object and remembers the first that is wrong; what is read after that has no meaning.
class Fields {
 public:
  Fields(const json& object, std::string where) : m_object(object), m_where(std::move(where)) {}

  int64_t whole(const char* key, int64_t least = 0, bool required = true) {
    const json* value = find(key, required);
    if (!value) return 0;
    double number = std::numeric_limits<double>::quiet_NaN();
    if (value->is_number()) number = value->get<double>();
    const auto most = static_cast<double>(limits::kMaxStep);
    if (!(number >= static_cast<double>(least) && number <= most) || number != std::trunc(number)) {
      fail(key, describeJson(*value), fmt::format("a whole number of at least {}", least));
      return 0;
    }
    return static_cast<int64_t>(number);
  }
  double real(const char* key, bool required = true) {
    const json* value = find(key, required);
    return value ? number(key, *value) : std::numeric_limits<double>::quiet_NaN();
  }
  double number(const char* key, const json& value) {
    if (value.is_number()) return value.get<double>();
    if (!value.is_null()) fail(key, describeJson(value), "a number or null");
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::string text(const char* key, size_t limit = limits::kEventText, bool required = true) {
    const json* value = find(key, required);
    if (!value) return {};
    if (!value->is_string()) {
      fail(key, describeJson(*value), "a text");
      return {};
    }
    const std::string& raw = value->get_ref<const std::string&>();
    // Writers add "…" to a text they cut at the limit, hence the room.
    if (raw.size() > limit + 8) fail(key, fmt::format("{} bytes", raw.size()), fmt::format("at most {} bytes", limit));
    return raw.size() > limit + 8 ? std::string() : raw;
  }
  std::string name(const char* key) { return text(key, limits::kEventName); }
  bool flag(const char* key) {
    const json* value = find(key, true);
    if (!value) return false;
    if (!value->is_boolean()) fail(key, describeJson(*value), "true or false");
    return value->is_boolean() && value->get<bool>();
  }
  RunState state(const char* key) {
    Result<RunState> state = runStateFromName(name(key));
    if (!state) fail(key, state.error().found, state.error().expected);
    return state ? *state : RunState::Failed;
  }
  json any(const char* key) {
    const json* value = find(key, true);
    return value ? *value : json();
  }
  // The member as an object or array of at most `limit` entries; an empty one when it is wrong.
  const json& container(const char* key, json::value_t type, size_t limit) {
    static const json emptyObject = json::object(), emptyArray = json::array();
    const json& none = type == json::value_t::object ? emptyObject : emptyArray;
    const json* value = find(key, true);
    if (!value) return none;
    if (value->type() != type)
      fail(key, describeJson(*value), type == json::value_t::object ? "an object" : "a list");
    else if (value->size() > limit)
      fail(key, fmt::format("{} entries", value->size()), fmt::format("at most {}", limit));
    else
      return *value;
    return none;
  }
  Values values(const char* key) {
    Values out;
    for (const auto& [name, value] : container(key, json::value_t::object, limits::kEventValues).items()) {
      checkName(key, name);
      out.emplace_back(name, number(key, value));
    }
    return out;
  }
  void checkName(const char* key, const std::string& name) {
    if (name.empty() || name.size() > limits::kEventName + 8)
      fail(key, fmt::format("a name of {} bytes", name.size()), fmt::format("1 … {} bytes", limits::kEventName));
  }
  Point point() {
    Point at;
    at.step = whole("step");
    at.epoch = real("epoch");
    at.tokens = whole("tokens");
    at.seconds = real("seconds");
    return at;
  }

  void fail(const std::string& key, std::string found, std::string expected) {
    if (m_error) return;
    m_error = Error{ErrorCode::BadInput, "an event's field is wrong", m_where + ", " + key,
                    std::move(found),    std::move(expected),         kHint};
  }
  const std::optional<Error>& error() const { return m_error; }

 private:
  const json* find(const char* key, bool required) {
    const auto it = m_object.find(key);
    if (it != m_object.end()) return &*it;
    if (required) fail(key, "nothing", "a value");
    return nullptr;
  }

  const json& m_object;
  std::string m_where;
  std::optional<Error> m_error;
};

Body readStart(Fields& in) {
  Start e;
  e.life = in.whole("life", 1);
  e.host = in.name("host");
  e.pid = in.whole("pid");
  e.version = in.name("version");
  e.step = in.whole("step");
  e.totalSteps = in.whole("total_steps");
  e.tokensPerEpoch = in.whole("tokens_per_epoch", 0, false);
  if (const std::string unit = in.text("unit", limits::kEventName, false); !unit.empty()) e.unit = unit;
  e.device = in.name("device");
  e.threads = in.whole("threads");
  e.computeDtype = in.name("compute_dtype");
  e.trainable = in.whole("trainable");
  e.parameters = in.whole("parameters");
  e.modelFamily = in.name("model_family");
  e.chatTemplate = in.text("chat_template", limits::kEventName, false);
  const json& sites = in.container("sites", json::value_t::array, limits::kEventSites);
  for (size_t i = 0; i < sites.size() && !in.error(); ++i) {
    if (!sites[i].is_object()) {
      in.fail("sites", describeJson(sites[i]), "an object");
      break;
    }
    Fields site(sites[i], fmt::format("sites[{}]", i));
    e.sites.push_back({site.name("name"), site.name("kind"), site.whole("layer", -1), site.whole("out"),
                       site.whole("in"), site.whole("rank")});
    if (site.error()) in.fail(site.error()->where, site.error()->found, site.error()->expected);
  }
  return e;
}

Body readSites(Fields& in) {
  Sites e;
  e.at = in.point();
  for (const auto& [name, numbers] : in.container("values", json::value_t::object, 64).items()) {
    in.checkName("values", name);
    if (!numbers.is_array() || numbers.size() > limits::kEventSites) {
      in.fail("values", describeJson(numbers), "a list with a number per site");
      return e;
    }
    std::vector<double> column;
    column.reserve(numbers.size());
    for (const json& value : numbers) column.push_back(in.number("values", value));
    e.values.emplace_back(name, std::move(column));
  }
  return e;
}

Body readCheckpoint(Fields& in) {
  Checkpoint e;
  e.step = in.whole("step");
  e.path = in.text("path");
  const std::string reason = in.name("reason");
  bool known = false;
  for (const CheckpointReason candidate : {CheckpointReason::Schedule, CheckpointReason::Best, CheckpointReason::Asked,
                                           CheckpointReason::End, CheckpointReason::Signal})
    if (reason == checkpointReasonName(candidate)) {
      e.reason = candidate;
      known = true;
    }
  if (!known) in.fail("reason", cleanUtf8(reason, 80), "schedule, best, asked, end or signal");
  e.bytes = in.whole("bytes");
  e.best = in.flag("best");
  // A path is used to open files below the run's folder and must not lead out of it.
  const std::filesystem::path path(e.path);
  bool leavesFolder = path.is_absolute() || e.path.find('\0') != std::string::npos;
  for (const auto& part : path) leavesFolder |= part == "..";
  if (leavesFolder) in.fail("path", cleanUtf8(e.path, 200), "a path inside the run's folder");
  return e;
}

Body readFailure(Fields& in) {
  Failure e;
  const std::string code = in.name("code");
  for (const ErrorCode candidate : {ErrorCode::Usage, ErrorCode::BadInput, ErrorCode::Training, ErrorCode::Interrupted,
                                    ErrorCode::Store, ErrorCode::Io, ErrorCode::Internal})
    if (code == errorCodeName(candidate)) e.error.code = candidate;
  e.error.what = in.text("what");
  e.error.where = in.text("where");
  e.error.found = in.text("found");
  e.error.expected = in.text("expected");
  e.error.hint = in.text("hint");
  e.step = in.whole("step");
  return e;
}

Body readBody(const std::string& kind, const json& payload, Fields& in) {
  if (kind == "start") return readStart(in);
  if (kind == "rewind") return Rewind{in.whole("step")};
  if (kind == "metrics") {
    Metrics e;
    e.at = in.point();
    e.values = in.values("values");
    return e;
  }
  if (kind == "sites") return readSites(in);
  if (kind == "eval") {
    Eval e;
    e.at = in.point();
    e.values = in.values("values");
    e.best = in.flag("best");
    return e;
  }
  if (kind == "state") {
    State e;
    e.state = in.state("state");
    e.detail = in.text("detail");
    e.step = in.whole("step");
    return e;
  }
  if (kind == "progress") {
    Progress e;
    e.step = in.whole("step");
    e.totalSteps = in.whole("total_steps");
    e.etaSeconds = in.real("eta_seconds");
    e.what = in.text("what");
    return e;
  }
  if (kind == "checkpoint") return readCheckpoint(in);
  if (kind == "command") {
    CommandDone e;
    e.id = in.name("id");
    e.command = in.name("command");
    e.appliedStep = in.whole("applied_step");
    return e;
  }
  if (kind == "change") {
    Change e;
    e.step = in.whole("step");
    e.key = in.name("key");
    e.from = in.any("from");
    e.to = in.any("to");
    return e;
  }
  if (kind == "sample") {
    Sample e;
    e.step = in.whole("step");
    e.prompt = in.text("prompt");
    e.text = in.text("text");
    return e;
  }
  if (kind == "log") {
    Log e;
    e.level = in.name("level");
    e.text = in.text("text");
    return e;
  }
  if (kind == "error") return readFailure(in);
  if (kind == "end") {
    End e;
    e.state = in.state("state");
    e.step = in.whole("step");
    e.summary = in.container("summary", json::value_t::object, limits::kEventValues);
    return e;
  }
  return Other{kind, payload};
}

Result<Event> readEvent(const json& payload, const std::string& where) {
  if (!payload.is_object())
    return Error{ErrorCode::BadInput, "an event is not an object", where, describeJson(payload), "an object", kHint};
  Fields in(payload, where);
  Event event;
  const std::string kind = in.name("kind");
  event.time = in.real("t");
  if (!in.error()) event.body = readBody(kind, payload, in);
  if (in.error()) return *in.error();
  return event;
}

}  // namespace

Result<Event> fromJson(const json& payload) { return readEvent(payload, "event"); }

Result<Event> parseEvent(std::string_view payload, const std::string& where) {
  Result<json> document = parseJsonRecord(payload, where);
  if (!document) return document.error();
  return readEvent(*document, where);
}

}  // namespace rankscope::event

#include "core/store/run_rows.h"

#include <algorithm>
#include <cmath>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/method_kind.h"
#include "core/config/option_spec.h"
#include "core/config/short_names.h"
#include "core/store/series_rows.h"
#include "core/store/sql_functions.h"

namespace rankscope {
namespace {

using nlohmann::json;

const char* kColumns =
    "config_name, status, status_detail, method, rank, alpha, model, data, task, seed, created, started, finished, "
    "step, "
    "total_steps, tokens, seconds, eta, peak_memory, trainable, parameters, best_metric, best_value, best_step, "
    "train_loss, eval_loss, lives, host, version, device, compute_dtype, chat_template, parent, parent_step, "
    "folder";

void bindColumns(Query& query, const RunRecord& run) {
  query.bind(run.configName, run.status, run.statusDetail, run.method, run.rank, run.alpha, run.model, run.data,
             run.task, run.seed, run.created, run.started, run.finished, run.step, run.totalSteps, run.tokens,
             run.seconds, run.eta, run.peakMemory, run.trainable, run.parameters, run.bestMetric, run.bestValue,
             run.bestStep, run.trainLoss, run.evalLoss, run.lives, run.host, run.version, run.device, run.computeDtype,
             run.chatTemplate, run.parent, run.parentStep, run.folder);
}

const json* find(const json& config, const char* group, const char* key) {
  const auto outer = config.find(group);
  if (outer == config.end() || !outer->is_object()) return nullptr;
  const auto inner = outer->find(key);
  return inner == outer->end() ? nullptr : &*inner;
}
std::string textAt(const json& config, const char* group, const char* key) {
  const json* value = find(config, group, key);
  return value && value->is_string() ? value->get<std::string>() : std::string();
}
std::optional<double> numberAt(const json& config, const char* group, const char* key) {
  const json* value = find(config, group, key);
  return value && value->is_number() ? std::optional(value->get<double>()) : std::nullopt;
}

std::string wantedMetric(StoreDatabase& database, int64_t rid) {
  {
    Query summary(database, "SELECT body FROM run_summaries WHERE rid = ?");
    summary.bind(rid);
    if (summary.step()) {
      const Result<json> body = parseJsonRecord(summary.text(0), "summary");
      const auto metric = body && body->is_object() ? body->find("best_metric") : json::const_iterator();
      if (body && body->is_object() && metric != body->end() && metric->is_string() &&
          !metric->get<std::string>().empty())
        return metric->get<std::string>();
    }
  }
  Query config(database,
               "SELECT v.text FROM run_config_values v JOIN names n ON n.id = v.name_id "
               "WHERE n.text = 'train.best_metric' AND v.rid = ?");
  config.bind(rid);
  return config.step() ? config.text(0) : std::string();
}

using FlatValues = std::vector<std::pair<std::string, json>>;
void flatten(const json& value, const std::string& prefix, FlatValues& out, int depth) {
  if (!value.is_object() || depth > 8 || (!prefix.empty() && findOption(prefix))) {
    if (!prefix.empty()) out.emplace_back(prefix, value);
    return;
  }
  for (const auto& [key, inner] : value.items())
    flatten(inner, prefix.empty() ? key : prefix + "." + key, out, depth + 1);
}

}  // namespace

std::optional<int64_t> findRid(StoreDatabase& database, const std::string& uuid) {
  Query query(database, "SELECT rid FROM runs WHERE uuid = ?");
  query.bind(uuid);
  if (!query.step()) return std::nullopt;
  return query.integer(0);
}

int64_t requireRid(StoreDatabase& database, const std::string& uuid) {
  if (const auto rid = findRid(database, uuid)) return *rid;
  throw ErrorException(Error{ErrorCode::Usage, "there is no such run", "", cleanUtf8(uuid, 100),
                             "the id of a run in the store", "`rankscope-train store list` shows the runs there are."});
}

std::optional<RunRecord> loadRun(StoreDatabase& database, const std::string& uuid) {
  Query row(database, std::string("SELECT rid, ") + kColumns + " FROM runs WHERE uuid = ?");
  row.bind(uuid);
  if (!row.step()) return std::nullopt;
  RunRecord run;
  run.uuid = uuid;
  int c = 0;
  run.rid = row.integer(c++);
  run.configName = row.text(c++), run.status = row.text(c++), run.statusDetail = row.text(c++),
  run.method = row.text(c++);
  if (!row.isNull(c)) run.rank = row.integer(c);
  ++c;
  run.alpha = row.real(c++);
  run.model = row.text(c++), run.data = row.text(c++), run.task = row.text(c++);
  run.seed = row.integer(c++);
  run.created = row.real(c++), run.started = row.real(c++), run.finished = row.real(c++);
  run.step = row.integer(c++), run.totalSteps = row.integer(c++), run.tokens = row.integer(c++);
  run.seconds = row.real(c++), run.eta = row.real(c++);
  run.peakMemory = row.integer(c++), run.trainable = row.integer(c++), run.parameters = row.integer(c++);
  run.bestMetric = row.text(c++), run.bestValue = row.real(c++), run.bestStep = row.integer(c++);
  run.trainLoss = row.real(c++), run.evalLoss = row.real(c++);
  run.lives = row.integer(c++);
  run.host = row.text(c++), run.version = row.text(c++), run.device = row.text(c++), run.computeDtype = row.text(c++);
  run.chatTemplate = row.text(c++);
  run.parent = row.text(c++), run.parentStep = row.integer(c++);
  run.folder = row.text(c++);
  return run;
}

void insertRun(StoreDatabase& database, RunRecord& run) {
  Query query(database,
              std::string("INSERT INTO runs (") + kColumns +
                  ", uuid) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                  "?, ?, ?, ?, ?, ?, ?, ?)");
  bindColumns(query, run);
  query.bind(run.uuid).run();
  run.rid = database.lastInsertId();
  Query(database, "INSERT INTO run_cursors (rid) VALUES (?)").bind(run.rid).run();
  refreshUserColumns(database, run.uuid);
}

void saveRun(StoreDatabase& database, const RunRecord& run) {
  Query query(database,
              std::string("UPDATE runs SET (") + kColumns +
                  ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                  "?, ?, ?, ?) WHERE rid = ?");
  bindColumns(query, run);
  query.bind(run.rid).run();
  refreshUserColumns(database, run.uuid);
}

RunCursor loadCursor(StoreDatabase& database, int64_t rid) {
  Query query(database, "SELECT position, sequence, life, complete FROM run_cursors WHERE rid = ?");
  query.bind(rid);
  if (!query.step()) return {};
  return {query.integer(0), query.integer(1), query.integer(2), query.integer(3)};
}

void saveCursor(StoreDatabase& database, int64_t rid, const RunCursor& cursor) {
  Query query(database,
              "INSERT OR REPLACE INTO run_cursors (rid, position, sequence, life, complete) VALUES (?, ?, ?, ?, ?)");
  query.bind(rid, cursor.position, cursor.sequence, cursor.life, cursor.complete).run();
}

void storeConfig(StoreDatabase& database, RunRecord& run, const json& config) {
  if (const auto name = config.find("name"); name != config.end() && name->is_string())
    run.configName = name->get<std::string>();
  run.method = textAt(config, "method", "name");
  const auto rank = numberAt(config, "method", "rank");
  run.rank = rank && hasRank(run.method) ? std::optional(static_cast<int64_t>(std::clamp(*rank, 0.0, 1e15))) : std::nullopt;
  run.alpha = methodKind(run.method) == MethodKind::LowRank ? numberAt(config, "method", "alpha").value_or(kUnknown) : kUnknown;
  run.model = shortModelName(textAt(config, "model", "path"));
  run.data = shortDataName(textAt(config, "data", "train"));
  run.task = textAt(config, "data", "task");
  if (const auto seed = config.find("seed"); seed != config.end() && seed->is_number_integer())
    run.seed = seed->get<int64_t>();
  Query(database, "INSERT OR REPLACE INTO run_configs (rid, body) VALUES (?, ?)").bind(run.rid, jsonText(config)).run();
  Query(database, "DELETE FROM run_config_values WHERE rid = ?").bind(run.rid).run();
  FlatValues values;
  flatten(config, "", values, 0);
  for (const auto& [key, value] : values) {
    const std::string text = value.is_string() ? value.get<std::string>() : jsonText(value);
    Query query(database, "INSERT OR REPLACE INTO run_config_values (name_id, rid, text, number) VALUES (?, ?, ?, ?)");
    query.bind(nameId(database, key), run.rid, text, value.is_number() ? value.get<double>() : kUnknown).run();
  }
}

void refreshUserColumns(StoreDatabase& database, const std::string& uuid) {
  Query update(
      database,
      "UPDATE runs SET (name, starred, archived, trashed_at, colour) = "
      "(SELECT CASE WHEN COALESCE(u.name, '') <> '' THEN u.name ELSE runs.config_name END, COALESCE(u.starred, 0), "
      "COALESCE(u.archived, 0), u.trashed_at, COALESCE(u.colour, '') "
      "FROM (SELECT 1) LEFT JOIN user_runs u ON u.uuid = runs.uuid) WHERE uuid = ?");
  update.bind(uuid).run();
  std::string folded;
  int64_t rid = 0;
  {
    Query query(database,
                "SELECT r.rid, r.name, r.method, r.model, r.data, r.task, r.status, u.note, "
                "(SELECT group_concat(t.tag, char(10)) FROM tags t WHERE t.uuid = r.uuid) "
                "FROM runs r LEFT JOIN user_runs u ON u.uuid = r.uuid WHERE r.uuid = ?");
    query.bind(uuid);
    if (!query.step()) return;
    rid = query.integer(0);
    for (int c = 1; c <= 8; ++c) folded += query.text(c) + '\n';
  }
  folded = foldText(folded);
  {
    Query same(database, "SELECT 1 FROM run_search WHERE rid = ? AND folded = ?");
    same.bind(rid, folded);
    if (same.step()) return;
  }
  Query(database, "INSERT OR REPLACE INTO run_search (rid, folded) VALUES (?, ?)").bind(rid, folded).run();
}

void wipeRun(StoreDatabase& database, RunRecord& run) {
  for (const char* table : {"series", "axis_blocks", "run_metrics", "run_log", "samples", "checkpoints", "changes",
                            "sites", "run_summaries", "run_sparklines"})
    Query(database, std::string("DELETE FROM ") + table + " WHERE rid = ?").bind(run.rid).run();
  RunRecord clean;
  clean.rid = run.rid, clean.uuid = run.uuid, clean.configName = run.configName, clean.method = run.method;
  clean.rank = run.rank, clean.alpha = run.alpha, clean.model = run.model, clean.data = run.data, clean.task = run.task;
  clean.seed = run.seed, clean.created = run.created, clean.host = run.host, clean.version = run.version;
  clean.parent = run.parent, clean.parentStep = run.parentStep, clean.folder = run.folder;
  run = clean;
  saveCursor(database, run.rid, {});
}

void refreshSummary(StoreDatabase& database, RunRecord& run, bool sparkline) {
  const auto summaryOf = [&](const std::string& name) -> std::optional<MetricSummary> {
    const auto series = findSeries(database, run.rid, name);
    if (!series || series->finite == 0) return std::nullopt;
    return series->summary();
  };
  const auto train = summaryOf("train/loss"), eval = summaryOf("eval/loss");
  run.trainLoss = train ? train->last : kUnknown;
  run.evalLoss = eval ? eval->last : kUnknown;

  // What the run's end or its config names, else the task's main metric as far as it has been measured.
  const std::string wanted = wantedMetric(database, run.rid);
  run.bestMetric = wanted;
  std::vector<std::string> candidates = {wanted, "eval/" + wanted};
  if (wanted.empty()) {
    candidates.clear();
    if (run.task == "classification" || run.task == "image_classification") candidates = {"eval/accuracy", "eval/f1", "eval/matthews"};
    if (run.task == "multiple_choice") candidates = {"eval/accuracy"};
    if (run.task == "question_answering") candidates = {"eval/answer_f1", "eval/exact_match"};
    if (run.task == "regression") candidates = {"eval/pearson", "eval/spearman"};
    candidates.insert(candidates.end(), {"eval/loss", "train/loss"});
  }
  run.bestValue = kUnknown;
  run.bestStep = -1;
  for (const std::string& candidate : candidates) {
    const auto best = summaryOf(candidate);
    if (!best) continue;
    run.bestMetric = candidate;
    run.bestValue = best->best;
    run.bestStep = best->bestStep;
    break;
  }
  if (!sparkline) return;
  std::vector<float> points;
  if (const auto series = findSeries(database, run.rid, train ? "train/loss" : "eval/loss")) {
    const SeriesRange range = readRange(database, *series, static_cast<double>(series->firstStep),
                                        static_cast<double>(series->lastStep), 62, Axis::Step);
    for (const Bucket& bucket : range.buckets) points.push_back(static_cast<float>(bucket.mean()));
  }
  if (points.size() > 64) points.resize(64);
  const std::string bytes(reinterpret_cast<const char*>(points.data()), points.size() * sizeof(float));
  Query query(database, "INSERT OR REPLACE INTO run_sparklines (rid, points) VALUES (?, ?)");
  query.bind(run.rid).bindBlob(bytes).run();
}

std::string folderText(const StoreDatabase& database, const std::filesystem::path& folder) {
  const std::filesystem::path relative =
      folder.lexically_normal().lexically_relative(database.home().lexically_normal());
  const bool inside = !relative.empty() && *relative.begin() != "..";
  return pathText(inside ? relative : folder);
}

std::filesystem::path folderPath(const StoreDatabase& database, const std::string& text) {
  const std::filesystem::path path(text);
  return path.is_absolute() ? path : database.home() / path;
}

}  // namespace rankscope

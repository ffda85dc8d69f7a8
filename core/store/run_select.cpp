#include "core/store/run_select.h"

#include <cstring>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/store/filter_fields.h"
#include "core/store/run_rows.h"

namespace rankscope {
namespace {

constexpr const char* kRowColumns =
    "SELECT r.uuid, r.name, r.status, r.status_detail, r.method, r.rank, r.alpha, r.model, r.data, r.task, r.seed, "
    "r.created, "
    "r.started, r.finished, r.step, r.total_steps, r.tokens, r.seconds, r.eta, r.peak_memory, r.trainable, "
    "r.parameters, "
    "r.best_metric, r.best_value, r.best_step, r.train_loss, r.eval_loss, r.colour, r.starred, r.archived, "
    "r.trashed_at, "
    "r.host, r.version, r.device, r.compute_dtype, r.chat_template, r.folder, r.lives, u.note, u.folder "
    "FROM runs r LEFT JOIN user_runs u ON u.uuid = r.uuid WHERE r.rid = ?";

RunRow rowFrom(const StoreDatabase& database, const Query& row) {
  RunRow run;
  int c = 0;
  run.id = row.text(c++), run.name = row.text(c++), run.status = row.text(c++), run.statusDetail = row.text(c++);
  run.method = row.text(c++);
  if (!row.isNull(c)) run.rank = row.integer(c);
  ++c;
  run.alpha = row.real(c++);
  run.modelName = row.text(c++), run.dataName = row.text(c++), run.task = row.text(c++);
  run.seed = row.integer(c++);
  run.createdAt = row.real(c++), run.startedAt = row.real(c++), run.finishedAt = row.real(c++);
  run.step = row.integer(c++), run.totalSteps = row.integer(c++), run.tokens = row.integer(c++);
  run.seconds = row.real(c++), run.etaSeconds = row.real(c++);
  run.peakMemory = row.integer(c++), run.trainable = row.integer(c++), run.parameters = row.integer(c++);
  run.bestMetric = row.text(c++), run.bestValue = row.real(c++), run.bestStep = row.integer(c++);
  run.lastTrainLoss = row.real(c++), run.lastEvalLoss = row.real(c++);
  run.colour = row.text(c++);
  run.starred = row.integer(c++) != 0, run.archived = row.integer(c++) != 0;
  run.trashed = !row.isNull(c++);
  run.host = row.text(c++), run.version = row.text(c++), run.device = row.text(c++), run.computeDtype = row.text(c++);
  run.chatTemplate = row.text(c++);
  const std::string folder = row.text(c++);
  run.lives = static_cast<int>(row.integer(c++));
  run.note = row.text(c++);
  const std::string trashFolder = row.text(c++);
  run.folder = pathText(folderPath(database, run.trashed && !trashFolder.empty() ? trashFolder : folder));
  return run;
}

}  // namespace

FilterNames storeNames(StoreDatabase& database) {
  FilterNames names;
  Query metrics(
      database,
      "SELECT n.text FROM names n WHERE EXISTS (SELECT 1 FROM run_metrics m WHERE m.name_id = n.id) ORDER BY 1");
  while (metrics.step()) names.metrics.push_back(metrics.text(0));
  Query keys(
      database,
      "SELECT n.text FROM names n WHERE EXISTS (SELECT 1 FROM run_config_values v WHERE v.name_id = n.id) ORDER BY 1");
  while (keys.step()) names.configKeys.push_back(keys.text(0));
  return names;
}

Result<std::vector<int64_t>> selectRuns(StoreDatabase& database, const RunQuery& query, const FilterNames& names) {
  std::string where = query.onlyTrashed ? "r.trashed_at IS NOT NULL" : "r.trashed_at IS NULL";
  std::vector<SqlValue> whereValues, orderValues;
  if (!query.includeArchived && !query.onlyTrashed) where += " AND r.archived = 0";
  if (!query.ids.empty()) {
    where += " AND r.uuid IN (SELECT value FROM json_each(?))";
    whereValues.emplace_back(jsonText(nlohmann::json(query.ids)));
  }
  for (size_t at = 0; at < query.text.size();) {
    const size_t end = std::min(query.text.find_first_of(" \t\n", at), query.text.size());
    if (end > at) {
      where += " AND EXISTS (SELECT 1 FROM run_search s WHERE s.rid = r.rid AND instr(s.folded, rs_fold(?)) > 0)";
      whereValues.emplace_back(query.text.substr(at, end - at));
    }
    at = end + 1;
  }
  if (!query.filter.empty()) {
    std::variant<FilterSql, FilterProblem> compiled = compileFilter(query.filter, names);
    if (const auto* problem = std::get_if<FilterProblem>(&compiled)) return problem->error;
    FilterSql& filter = std::get<FilterSql>(compiled);
    where += " AND " + filter.where;
    whereValues.insert(whereValues.end(), filter.parameters.begin(), filter.parameters.end());
  }
  std::string columns, order;
  int number = 0;
  for (const SortKey& key : query.sort) {
    Result<FieldSql> field = fieldExpression(key.key, names);
    if (!field) return field.error();
    const std::string alias = "k" + std::to_string(number++);
    columns += ", NULLIF(" + field->expression + ", '') AS " + alias;
    orderValues.insert(orderValues.end(), field->parameters.begin(), field->parameters.end());
    order += alias + " IS NULL, " + alias + (field->numeric ? "" : " COLLATE RS_NATURAL") +
             (key.descending ? " DESC, " : ", ");
  }
  Query select(database, "SELECT r.rid" + columns + " FROM runs r WHERE " + where + " ORDER BY " + order +
                             "r.created DESC, r.rid DESC");
  select.bindAll(orderValues).bindAll(whereValues);
  std::vector<int64_t> rids;
  while (select.step()) rids.push_back(select.integer(0));
  return rids;
}

std::vector<RunRow> loadRows(StoreDatabase& database, const std::vector<int64_t>& rids, bool withMetrics,
                             bool withSparkline) {
  std::vector<RunRow> rows;
  rows.reserve(rids.size());
  Query row(database, kRowColumns);
  Query tags(database, "SELECT tag FROM tags WHERE uuid = ? ORDER BY tag");
  Query spark(database, "SELECT points FROM run_sparklines WHERE rid = ?");
  Query metrics(database,
                "SELECT n.text, m.count, m.first, m.last, m.best, m.min, m.max, m.best_step, m.last_step "
                "FROM run_metrics m JOIN names n ON n.id = m.name_id WHERE m.rid = ?");
  for (const int64_t rid : rids) {
    row.restart();
    row.bind(rid);
    if (!row.step()) continue;
    RunRow& run = rows.emplace_back(rowFrom(database, row));
    tags.restart();
    tags.bind(run.id);
    while (tags.step()) run.tags.push_back(tags.text(0));
    if (withSparkline) {
      spark.restart();
      spark.bind(rid);
      if (spark.step()) {
        const std::string_view bytes = spark.blob(0);
        run.sparkline.resize(std::min<size_t>(bytes.size() / sizeof(float), 64));
        if (!run.sparkline.empty())
          std::memcpy(run.sparkline.data(), bytes.data(), run.sparkline.size() * sizeof(float));
      }
    }
    if (!withMetrics) continue;
    metrics.restart();
    metrics.bind(rid);
    while (metrics.step()) {
      MetricSummary& all = run.metrics[metrics.text(0)];
      all.count = metrics.integer(1);
      all.first = metrics.real(2), all.last = metrics.real(3), all.best = metrics.real(4), all.min = metrics.real(5);
      all.max = metrics.real(6), all.bestStep = metrics.integer(7), all.lastStep = metrics.integer(8);
    }
  }
  return rows;
}

}  // namespace rankscope

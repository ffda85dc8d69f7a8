// Listing, finding, grouping and comparing runs.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/runlog/uuid.h"
#include "core/store/filter_fields.h"
#include "core/store/run_rows.h"
#include "core/store/run_select.h"
#include "core/store/store.h"

namespace rankscope {
namespace {

// A number as people write it: the shortest text that reads back the same.
std::string cellText(const Query& row, int column) {
  if (row.isNull(column)) return {};
  return row.text(column);
}

// Places [begin, end) of the page among `total` rows that match; a negative limit means all of them.
std::pair<int64_t, int64_t> pageOf(const RunQuery& query, int64_t total) {
  const int64_t begin = std::clamp<int64_t>(query.offset, 0, total);
  return {begin, query.limit < 0 ? total : std::min(total, begin + query.limit)};
}

}  // namespace

Result<RunPage> Store::listRuns(const RunQuery& query) {
  return m_database->read("the runs are listed", [&]() -> Result<RunPage> {
    Result<std::vector<int64_t>> rids = selectRuns(*m_database, query, storeNames(*m_database));
    if (!rids) return rids.error();
    RunPage page;
    page.total = static_cast<int64_t>(rids->size());
    const auto [begin, end] = pageOf(query, page.total);
    page.rows =
        loadRows(*m_database, {rids->begin() + begin, rids->begin() + end}, query.withMetrics, query.withSparkline);
    return page;
  });
}

Result<std::vector<std::string>> Store::listRunIds(const RunQuery& query) {
  return m_database->read("the runs are listed", [&]() -> Result<std::vector<std::string>> {
    Result<std::vector<int64_t>> rids = selectRuns(*m_database, query, storeNames(*m_database));
    if (!rids) return rids.error();
    const auto [begin, end] = pageOf(query, static_cast<int64_t>(rids->size()));
    std::vector<std::string> ids;
    ids.reserve(static_cast<size_t>(end - begin));
    Query uuid(*m_database, "SELECT uuid FROM runs WHERE rid = ?");
    for (int64_t i = begin; i < end; ++i) {
      uuid.restart();
      uuid.bind((*rids)[static_cast<size_t>(i)]);
      if (uuid.step()) ids.push_back(uuid.text(0));
    }
    return ids;
  });
}

Result<RunRow> Store::run(const std::string& id) {
  return m_database->read("a run is read", [&]() -> Result<RunRow> {
    std::vector<RunRow> rows = loadRows(*m_database, {requireRid(*m_database, id)}, true, true);
    return std::move(rows.at(0));
  });
}

Result<std::string> Store::resolveRun(const std::string& text) {
  return m_database->read("a run is looked up", [&]() -> Result<std::string> {
    if (findRid(*m_database, text)) return text;
    std::vector<std::pair<std::string, std::string>> matches;  // uuid, name
    const auto collect = [&](const char* where, const std::string& value) {
      Query query(*m_database,
                  std::string("SELECT uuid, name FROM runs r WHERE ") + where + " ORDER BY created DESC LIMIT 20");
      query.bind(value);
      while (query.step()) matches.emplace_back(query.text(0), query.text(1));
    };
    const bool hexadecimal = text.size() >= 4 && text.find_first_not_of("0123456789abcdefABCDEF-") == std::string::npos;
    if (hexadecimal) {
      std::string lower = text;
      std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
      collect("uuid >= ?1 AND uuid < ?1 || 'g'", lower);
    }
    if (matches.empty()) collect("name = ? AND trashed_at IS NULL", text);
    if (matches.empty()) collect("name = ? AND trashed_at IS NOT NULL", text);  // to restore it
    if (matches.size() == 1) return matches[0].first;
    if (matches.empty())
      return Error{ErrorCode::Usage,
                   "there is no such run",
                   "",
                   cleanUtf8(text, 200),
                   "a uuid, the beginning of one, or a run's name",
                   "`rankscope-train store list` shows the runs there are."};
    std::string list;
    for (const auto& [uuid, name] : matches) list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", uuid, name);
    return Error{ErrorCode::Usage,        "several runs are called so", "", cleanUtf8(text, 200), list,
                 "Give more of the uuid."};
  });
}

Result<std::vector<RunGroup>> Store::groupRuns(const GroupQuery& query) {
  return m_database->read("runs are grouped", [&]() -> Result<std::vector<RunGroup>> {
    const FilterNames names = storeNames(*m_database);
    RunQuery runs = query.runs;
    runs.sort.clear();
    for (const std::string& key : query.keys) runs.sort.push_back({key, false});
    Result<std::vector<int64_t>> rids = selectRuns(*m_database, runs, names);
    if (!rids) return rids.error();

    std::string columns = "SELECT r.uuid";
    std::vector<SqlValue> values;
    for (const std::vector<std::string>* list : {&query.keys, &query.metrics})
      for (const std::string& name : *list) {
        Result<FieldSql> field = fieldExpression(name, names);
        if (!field) return field.error();
        columns += ", " + field->expression;
        values.insert(values.end(), field->parameters.begin(), field->parameters.end());
      }
    columns += " FROM runs r WHERE r.rid = ?";
    std::vector<RunGroup> groups;
    std::vector<std::vector<std::vector<double>>> numbers;  // group, metric, run
    std::map<std::vector<std::string>, size_t> places;
    Query row(*m_database, columns);
    for (const int64_t rid : *rids) {
      row.restart();
      row.bindAll(values).bind(rid);
      if (!row.step()) continue;
      std::vector<std::string> key;
      int column = 1;
      for (size_t i = 0; i < query.keys.size(); ++i) key.push_back(cellText(row, column++));
      const auto [place, isNew] = places.try_emplace(key, groups.size());
      if (isNew) {
        groups.push_back({key, {}, {}});
        numbers.emplace_back(query.metrics.size());
      }
      groups[place->second].runIds.push_back(row.text(0));
      for (size_t i = 0; i < query.metrics.size(); ++i) numbers[place->second][i].push_back(row.real(column++));
    }
    for (size_t g = 0; g < groups.size(); ++g)
      for (const std::vector<double>& metric : numbers[g]) groups[g].statistics.push_back(groupStatistic(metric));
    return groups;
  });
}

Result<nlohmann::json> Store::runConfig(const std::string& id) {
  return m_database->read("a run's config is read", [&]() -> Result<nlohmann::json> {
    Query query(*m_database, "SELECT body FROM run_configs WHERE rid = ?");
    query.bind(requireRid(*m_database, id));
    if (!query.step()) return nlohmann::json::object();
    return parseJsonRecord(query.text(0), "config of " + id);
  });
}

Result<std::vector<RunDifference>> Store::configDifferences(const std::vector<std::string>& ids) {
  return m_database->read("configs are compared", [&]() -> Result<std::vector<RunDifference>> {
    std::map<std::string, std::vector<std::string>> table;
    Query query(*m_database,
                "SELECT n.text, v.text FROM run_config_values v JOIN names n ON n.id = v.name_id WHERE v.rid = ?");
    for (size_t i = 0; i < ids.size(); ++i) {
      query.restart();
      query.bind(requireRid(*m_database, ids[i]));
      while (query.step()) {
        std::vector<std::string>& values = table[query.text(0)];
        values.resize(ids.size());
        values[i] = query.text(1);
      }
    }
    std::vector<RunDifference> differences;
    for (auto& [key, values] : table) {
      if (key == "name" || key == "notes" || key == "version") continue;  // differ by nature
      if (std::any_of(values.begin(), values.end(),
                      [&values = values](const std::string& v) { return v != values[0]; }))
        differences.push_back({key, std::move(values)});
    }
    return differences;
  });
}

Result<FilterNames> Store::names() {
  return m_database->read("names are listed", [&]() -> Result<FilterNames> { return storeNames(*m_database); });
}

std::optional<FilterProblem> Store::checkFilter(const std::string& text) {
  Result<FilterNames> known = names();
  if (!known) return FilterProblem{0, 0, known.error()};
  std::variant<FilterSql, FilterProblem> compiled = compileFilter(text, *known);
  if (auto* problem = std::get_if<FilterProblem>(&compiled)) return *problem;
  return std::nullopt;
}

Result<std::vector<std::pair<std::string, int64_t>>> Store::distinctValues(const std::string& field, int64_t limit) {
  using Values = std::vector<std::pair<std::string, int64_t>>;
  return m_database->read("values are listed", [&]() -> Result<Values> {
    Result<FieldSql> sql = fieldExpression(field, storeNames(*m_database));
    if (!sql) return sql.error();
    Query query(*m_database,
                "SELECT " + sql->expression +
                    " AS value, COUNT(*) AS n FROM runs r WHERE r.trashed_at IS NULL GROUP BY 1 "
                    "HAVING value IS NOT NULL AND value <> '' ORDER BY n DESC, value COLLATE RS_NATURAL LIMIT ?");
    query.bindAll(sql->parameters).bind(limit);
    Values values;
    while (query.step()) values.emplace_back(cellText(query, 0), query.integer(1));
    return values;
  });
}

}  // namespace rankscope

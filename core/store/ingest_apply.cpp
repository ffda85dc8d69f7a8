#include "core/store/ingest_apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/config/json_text.h"

namespace rankscope {

void EventApplier::apply(const NumberedEvent& numbered) {
  m_sequence = numbered.sequence;
  m_time = numbered.event.time;
  std::visit([this](const auto& body) { on(body); }, numbered.event.body);
}

void EventApplier::finish() {
  flush();
  if (m_seriesChanged) refreshSummary(m_database, m_run, m_lossChanged);
  m_seriesChanged = m_lossChanged = false;
}

void EventApplier::flush() {
  for (const std::string& name : m_order) m_series.append(name, m_pending[name]);
  m_pending.clear();
  m_order.clear();
}

void EventApplier::point(const std::string& name, const event::Point& at, double value) {
  std::vector<SeriesPoint>& pending = m_pending[name];
  if (pending.empty()) m_order.push_back(name);
  pending.push_back({at.step, at.epoch, at.tokens, at.seconds, value});
  m_seriesChanged = true;
  if (name == "train/loss" || name == "eval/loss") m_lossChanged = true;
}

void EventApplier::points(const event::Point& at, const event::Values& values) {
  for (const auto& [name, value] : values) {
    point(name, at, value);
    const bool memory = name == "memory/peak" || name == "memory/device";
    if (memory && value > static_cast<double>(m_run.peakMemory) && value < 1e18)
      m_run.peakMemory = static_cast<int64_t>(value);
  }
  m_run.step = at.step;
  m_run.tokens = at.tokens;
  m_run.seconds = at.seconds;
}

void EventApplier::on(const event::Start& start) {
  m_cursor.life = start.life;
  m_cursor.complete = 0;
  m_run.lives = std::max(m_run.lives + 1, start.life);
  m_run.host = start.host;
  m_run.version = start.version;
  m_run.device = start.device;
  m_run.computeDtype = start.computeDtype;
  m_run.chatTemplate = start.chatTemplate;
  m_run.step = start.step;
  if (start.totalSteps > 0) m_run.totalSteps = start.totalSteps;
  m_run.trainable = start.trainable;
  m_run.parameters = start.parameters;
  if (std::isnan(m_run.started)) m_run.started = m_time;
  if (std::isnan(m_run.created)) m_run.created = m_time;
  m_run.finished = m_run.eta = kUnknown;
  m_run.status = "loading";
  m_run.statusDetail.clear();
  Query(m_database, "DELETE FROM run_summaries WHERE rid = ?").bind(m_run.rid).run();
  log(LogLevel::Info, start.step, "life",
      fmt::format("{} on {} ({}, process {}, version {})",
                  start.life > 1 ? fmt::format("resumed at step {}", start.step) : "started", start.host, start.device,
                  start.pid, start.version));
  if (start.sites.empty()) return;
  flush();
  Query(m_database, "DELETE FROM sites WHERE rid = ?").bind(m_run.rid).run();
  m_siteNames.clear();
  for (size_t i = 0; i < start.sites.size(); ++i) {
    const event::SiteInfo& site = start.sites[i];
    Query(m_database,
          "INSERT INTO sites (rid, position, name, kind, layer, rows, columns, rank) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(m_run.rid, static_cast<int64_t>(i), site.name, site.kind, site.layer, site.out, site.in, site.rank)
        .run();
    m_siteNames.push_back(site.name);
  }
  m_sitesKnown = true;
}

void EventApplier::on(const event::Rewind& rewind) {
  flush();
  m_series.dropAfter(rewind.step);
  for (const char* table : {"samples", "checkpoints", "changes"})
    Query(m_database, std::string("DELETE FROM ") + table + " WHERE rid = ? AND step > ?")
        .bind(m_run.rid, rewind.step)
        .run();
  m_run.step = rewind.step;
  m_seriesChanged = m_lossChanged = true;
  log(LogLevel::Info, rewind.step, "life",
      fmt::format("continues from step {}; what came after it was dropped", rewind.step));
}

void EventApplier::on(const event::Metrics& metrics) { points(metrics.at, metrics.values); }
void EventApplier::on(const event::Eval& eval) { points(eval.at, eval.values); }

void EventApplier::on(const event::Sites& sites) {
  if (!m_sitesKnown) {
    Query query(m_database, "SELECT name FROM sites WHERE rid = ? ORDER BY position");
    query.bind(m_run.rid);
    while (query.step()) m_siteNames.push_back(query.text(0));
    m_sitesKnown = true;
  }
  for (const auto& [quantity, values] : sites.values) {
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string site = i < m_siteNames.size() ? m_siteNames[i] : fmt::format("#{}", i);
      point("site/" + site + "/" + quantity, sites.at, values[i]);
    }
  }
}

void EventApplier::on(const event::State& state) {
  const std::string name = event::runStateName(state.state);
  if (name != m_run.status || !state.detail.empty())
    log(state.state == event::RunState::Failed ? LogLevel::Error : LogLevel::Info, state.step, "state",
        state.detail.empty() ? name : name + ": " + state.detail);
  m_run.status = name;
  m_run.statusDetail = state.detail;
}

void EventApplier::on(const event::Progress& progress) {
  m_run.step = std::max(m_run.step, progress.step);
  if (progress.totalSteps > 0) m_run.totalSteps = progress.totalSteps;
  m_run.eta = progress.etaSeconds;
}

void EventApplier::on(const event::Checkpoint& checkpoint) {
  if (checkpoint.best) Query(m_database, "UPDATE checkpoints SET best = 0 WHERE rid = ?").bind(m_run.rid).run();
  Query(m_database,
        "INSERT OR REPLACE INTO checkpoints (rid, path, sequence, time, step, bytes, reason, best) VALUES (?, ?, ?, ?, "
        "?, ?, ?, ?)")
      .bind(m_run.rid, checkpoint.path, m_sequence, m_time, checkpoint.step, checkpoint.bytes,
            event::checkpointReasonName(checkpoint.reason), checkpoint.best)
      .run();
}

void EventApplier::on(const event::CommandDone& command) {
  log(LogLevel::Info, command.appliedStep, "command", command.command);
}

void EventApplier::on(const event::Change& change) {
  Query(m_database,
        "INSERT OR REPLACE INTO changes (rid, sequence, time, step, key, old_value, new_value) VALUES (?, ?, ?, ?, ?, "
        "?, ?)")
      .bind(m_run.rid, m_sequence, m_time, change.step, change.key, jsonText(change.from), jsonText(change.to))
      .run();
  log(LogLevel::Info, change.step, "command",
      fmt::format("{} changed from {} to {}", change.key, jsonText(change.from), jsonText(change.to)));
}

void EventApplier::on(const event::Sample& sample) {
  Query(m_database,
        "INSERT OR REPLACE INTO samples (rid, sequence, time, step, prompt, text) VALUES (?, ?, ?, ?, ?, ?)")
      .bind(m_run.rid, m_sequence, m_time, sample.step, sample.prompt, sample.text)
      .run();
}

void EventApplier::on(const event::Log& line) {
  log(logLevelFromName(line.level).value_or(LogLevel::Info), m_run.step, "log", line.text);
}

void EventApplier::on(const event::Failure& failure) {
  m_run.statusDetail = failure.error.what;
  log(LogLevel::Error, failure.step, "error", failure.error.message());
}

void EventApplier::on(const event::End& end) {
  const std::string detail = m_run.statusDetail;
  m_run.status = event::runStateName(end.state);
  m_run.statusDetail = end.state == event::RunState::Finished ? std::string() : detail;
  m_run.finished = m_time;
  m_run.eta = kUnknown;
  m_run.step = end.step;
  m_cursor.complete = 1;
  const nlohmann::json& summary = end.summary;
  const auto whole = [&summary](const char* key, int64_t& target) {
    const auto value = summary.find(key);
    if (value == summary.end() || !value->is_number()) return;
    const double number = value->get<double>();
    if (number > 0 && number < 9e18) target = static_cast<int64_t>(number);
  };
  if (summary.is_object()) {
    whole("tokens", m_run.tokens);
    whole("peak_memory", m_run.peakMemory);
    whole("trainable", m_run.trainable);
    whole("parameters", m_run.parameters);
    if (const auto seconds = summary.find("seconds"); seconds != summary.end() && seconds->is_number())
      m_run.seconds = seconds->get<double>();
  }
  m_seriesChanged = true;  // the summary may name the metric that decides
  Query(m_database, "INSERT OR REPLACE INTO run_summaries (rid, body) VALUES (?, ?)")
      .bind(m_run.rid, jsonText(summary))
      .run();
  log(end.state == event::RunState::Failed ? LogLevel::Error : LogLevel::Info, end.step, "life", m_run.status);
}

void EventApplier::log(LogLevel level, int64_t step, const char* kind, const std::string& text) {
  Query(m_database,
        "INSERT OR REPLACE INTO run_log (rid, sequence, time, step, level, kind, text) VALUES (?, ?, ?, ?, ?, ?, ?)")
      .bind(m_run.rid, m_sequence, m_time, step, static_cast<int64_t>(level), kind, text)
      .run();
}

}  // namespace rankscope

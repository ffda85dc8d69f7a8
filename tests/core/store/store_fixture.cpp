#include "tests/core/store/store_fixture.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>

#include "core/runlog/uuid.h"
#include "core/store/database.h"

namespace rankscope {

TestHome::TestHome() { std::filesystem::create_directories(runs()); }

std::unique_ptr<Store> TestHome::open(Store::Mode mode) const {
  Result<std::unique_ptr<Store>> opened = Store::open(store(), mode);
  if (!opened) qFatal("%s", opened.error().message().c_str());
  return std::move(*opened);
}

nlohmann::json configOf(const RunSpec& spec) {
  return {{"version", 1},
          {"name", spec.name},
          {"seed", spec.seed},
          {"model", {{"path", spec.model}}},
          {"data", {{"train", spec.data}, {"task", spec.task}}},
          {"method",
           {{"name", spec.method}, {"rank", spec.rank}, {"alpha", 16.0}, {"target_modules", {"q_proj", "v_proj"}}}},
          {"optim", {{"name", "adamw"}, {"learning_rate", spec.learningRate}}},
          {"train", {{"epochs", 3}, {"best_metric", ""}}}};
}

std::filesystem::path makeRunFolder(const std::filesystem::path& runs, const RunSpec& spec) {
  const std::string id = spec.id.empty() ? newUuid() : spec.id;
  const std::filesystem::path folder = runs / id;
  std::filesystem::create_directories(folder);
  putFile(folder / "config.json", configOf(spec).dump());
  return folder;
}

double lossAt(int64_t step, int salt) {
  return 2.0 + std::exp(-static_cast<double>(step) / 80.0) + 0.1 * std::sin(static_cast<double>(step * 7 + salt));
}

namespace {

event::Point pointAt(int64_t step) {
  return {step, static_cast<double>(step) / 70.0, step * 512, static_cast<double>(step) * 0.137};
}

void oneLife(const std::function<void(event::Body)>& say, int64_t life, int64_t from, int64_t to, const LogSpec& spec) {
  event::Start start;
  start.life = life;
  start.host = "here";
  start.pid = 100 + life;
  start.version = "1.0";
  start.step = from;
  start.totalSteps = spec.steps;
  start.device = "cpu";
  start.computeDtype = "fp32";
  start.chatTemplate = "chatml";
  start.trainable = 12288;
  start.parameters = 260032;
  for (int i = 0; i < spec.sites; ++i)
    start.sites.push_back({fmt::format("layers.{}.q_proj", i), "q_proj", i, 64, 64, 8});
  say(start);
  if (life > 1) say(event::Rewind{from});
  say(event::State{event::RunState::Running, "", from});
  for (int64_t step = from + 1; step <= to; ++step) {
    const int salt = spec.salt + static_cast<int>(life);
    const bool odd = spec.notFinite && step % 17 == 0;
    event::Values values = {{"train/loss", odd ? std::nan("") : lossAt(step, salt)},
                            {"train/learning_rate", 1e-3 * (1.0 - static_cast<double>(step) / 1e4)},
                            {"memory/peak", 1e9 + static_cast<double>(step) * 1000}};
    if (step % 10 == 0) {
      values.emplace_back("factors/norm_A", 1.0 + lossAt(step, salt + 3));
      event::Sites sites{pointAt(step), {{"norm_A", {}}, {"balance_gap", {}}}};
      for (auto& [name, numbers] : sites.values)
        for (int i = 0; i < spec.sites; ++i) numbers.push_back(lossAt(step, salt + i));
      say(sites);
    }
    say(event::Metrics{pointAt(step), values});
    if (spec.evalEvery > 0 && step % spec.evalEvery == 0) {
      say(event::Eval{pointAt(step),
                      {{"eval/loss", lossAt(step, salt + 9)}, {"eval/accuracy", 1.0 - 1.0 / static_cast<double>(step)}},
                      true});
      say(event::Checkpoint{step, fmt::format("checkpoints/step-{:08}", step), event::CheckpointReason::Schedule,
                            1000 + step, true});
      say(event::Sample{step, "Once", fmt::format("upon step {}", step)});
      say(event::Log{"warning", fmt::format("look at step {}", step)});
      say(event::Progress{step, spec.steps, 12.5, "training"});
    }
    if (step == from + 5) say(event::Change{step, "optim.learning_rate", 1e-3, 5e-4});
  }
}

}  // namespace

void writeLog(const std::filesystem::path& runFolder, const LogSpec& spec) {
  Result<std::unique_ptr<EventWriter>> writer = EventWriter::open(runFolder / "events.log");
  if (!writer) qFatal("%s", writer.error().message().c_str());
  double clock = 1.7e9;
  const auto say = [&](event::Body body) { (*writer)->append(event::Event{clock += 0.25, std::move(body)}); };
  oneLife(say, 1, 0, spec.steps, spec);
  if (spec.resume) oneLife(say, 2, spec.steps * 6 / 10, spec.steps + 20, spec);
  if (spec.end)
    say(event::End{
        event::RunState::Finished, spec.steps, {{"tokens", spec.steps * 512}, {"best_metric", "eval/accuracy"}}});
  if (Result<void> closed = (*writer)->close(); !closed) qFatal("%s", closed.error().message().c_str());
}

std::string derivedRows(Store& store) {
  // Without rid, sid, aid, cid and name_id: names instead, in a fixed order.
  static const char* kQueries[] = {
      "SELECT uuid, name, config_name, status, status_detail, method, rank, alpha, model, data, task, seed, started, "
      "step, "
      "total_steps, tokens, seconds, eta, peak_memory, trainable, parameters, best_metric, best_value, best_step, "
      "train_loss, "
      "eval_loss, lives, host, version, device, compute_dtype, chat_template, starred, archived FROM runs ORDER BY uuid",
      "SELECT r.uuid, s.folded FROM run_search s JOIN runs r USING (rid) ORDER BY 1",
      "SELECT r.uuid, hex(s.points) FROM run_sparklines s JOIN runs r USING (rid) ORDER BY 1",
      "SELECT r.uuid, c.position, c.sequence, c.life, c.complete FROM run_cursors c JOIN runs r USING (rid) ORDER BY 1",
      "SELECT r.uuid, c.body FROM run_configs c JOIN runs r USING (rid) ORDER BY 1",
      "SELECT r.uuid, n.text, v.text, v.number FROM run_config_values v JOIN runs r USING (rid) JOIN names n ON n.id = "
      "v.name_id ORDER BY 1, 2",
      "SELECT r.uuid, s.body FROM run_summaries s JOIN runs r USING (rid) ORDER BY 1",
      "SELECT r.uuid, n.text, m.count, m.first, m.last, m.best, m.min, m.max, m.best_step, m.last_step FROM "
      "run_metrics m "
      "JOIN runs r USING (rid) JOIN names n ON n.id = m.name_id ORDER BY 1, 2",
      "SELECT r.uuid, n.text, s.count, s.finite, s.first_step, s.last_step, s.first, s.last, s.min, s.max, s.min_step, "
      "s.max_step "
      "FROM series s JOIN runs r USING (rid) JOIN names n ON n.id = s.name_id ORDER BY 1, 2",
      "SELECT r.uuid, n.text, hex(t.points) FROM series_tails t JOIN series s USING (sid) JOIN runs r USING (rid) "
      "JOIN names n ON n.id = s.name_id ORDER BY 1, 2",
      "SELECT r.uuid, n.text, c.start, c.count, c.finite, c.first, c.last, c.min, c.max, c.sum, c.min_step, "
      "c.max_step, "
      "hex(c.blocks256), hex(c.blocks16), hex(c.points), a.hash FROM series_chunks c JOIN series s USING (sid) "
      "JOIN runs r USING (rid) JOIN names n ON n.id = s.name_id JOIN axis_blocks a USING (aid) ORDER BY 1, 2, 3",
      "SELECT r.uuid, a.hash, a.refs, a.count, a.first_step, a.last_step, a.first_seconds, hex(a.ends256), "
      "hex(a.ends16), "
      "hex(a.points) FROM axis_blocks a JOIN runs r USING (rid) ORDER BY 1, 2",
      "SELECT r.uuid, l.sequence, l.time, l.step, l.level, l.kind, l.text FROM run_log l JOIN runs r USING (rid) ORDER "
      "BY 1, 2",
      "SELECT r.uuid, s.sequence, s.step, s.prompt, s.text FROM samples s JOIN runs r USING (rid) ORDER BY 1, 2",
      "SELECT r.uuid, c.path, c.sequence, c.step, c.bytes, c.reason, c.best FROM checkpoints c JOIN runs r USING (rid) "
      "ORDER BY 1, 2",
      "SELECT r.uuid, c.sequence, c.step, c.key, c.old_value, c.new_value FROM changes c JOIN runs r USING (rid) ORDER "
      "BY 1, 2",
      "SELECT r.uuid, s.position, s.name, s.kind, s.layer, s.rows, s.columns, s.rank FROM sites s JOIN runs r USING "
      "(rid) ORDER BY 1, 2"};
  StoreDatabase& database = store.database();
  Result<std::string> text = database.read("the rows are written out", [&]() -> Result<std::string> {
    std::string out;
    for (const char* sql : kQueries) {
      out += std::string("# ") + sql + "\n";
      Query query(database, sql);
      while (query.step()) {
        for (int c = 0; c < query.columns(); ++c) out += (query.isNull(c) ? "NULL" : query.text(c)) + "|";
        out += "\n";
      }
    }
    return out;
  });
  if (!text) qFatal("%s", text.error().message().c_str());
  return *text;
}

std::string fileBytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void putFile(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace rankscope

#include "core/store/filter_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <ctime>

#include "core/config/option_spec.h"
#include "core/store/sql_functions.h"

namespace rankscope {
namespace {

struct Column {
  const char* name;
  const char* aliases;  // with a blank on either side
  const char* expression;
  FieldKind kind;
  const char* help;
};

// The columns of the table of runs that the filter box, sorting and grouping know.
constexpr Column kColumns[] = {
    {"name", "", "r.name", FieldKind::Text, "Name of the run"},
    {"id", " uuid ", "r.uuid", FieldKind::Text, "The run's uuid"},
    {"status", " state ", "r.status", FieldKind::Text, "queued, running, finished, failed, …"},
    {"method", "", "r.method", FieldKind::Text, "lora, rora, reflora, full, …"},
    {"rank", "", "r.rank", FieldKind::Number, "Rank of the adapters; none for full fine-tuning"},
    {"alpha", "", "r.alpha", FieldKind::Number, "α of the adapters"},
    {"model", "", "r.model", FieldKind::Text, "Base model"},
    {"data", " dataset ", "r.data", FieldKind::Text, "Training data"},
    {"task", "", "r.task", FieldKind::Text, "causal_lm, instruction, classification, question_answering, …"},
    {"seed", "", "r.seed", FieldKind::Number, "Random seed"},
    {"created", " date ", "r.created", FieldKind::Time, "When the run was made: created > 2025-03-01"},
    {"started", "", "r.started", FieldKind::Time, "When training first started"},
    {"finished", " ended ", "r.finished", FieldKind::Time, "When the run ended"},
    {"step", "", "r.step", FieldKind::Number, "Optimizer steps done"},
    {"steps", " total_steps ", "r.total_steps", FieldKind::Number, "Optimizer steps planned"},
    {"tokens", "", "r.tokens", FieldKind::Number, "Tokens (or images) trained on"},
    {"seconds", " time duration ", "r.seconds", FieldKind::Duration, "Training time: seconds > 2h"},
    {"memory", " peak_memory ", "NULLIF(r.peak_memory, 0)", FieldKind::Number, "Peak memory in bytes: memory < 8G"},
    {"trainable", "", "NULLIF(r.trainable, 0)", FieldKind::Number, "Trainable parameters"},
    {"parameters", " params ", "NULLIF(r.parameters, 0)", FieldKind::Number, "All parameters"},
    {"best", " best_value ", "r.best_value", FieldKind::Number, "Best value of the run's own main metric"},
    {"best_metric", "", "r.best_metric", FieldKind::Text, "The run's own main metric"},
    {"best_step", "", "r.best_step", FieldKind::Number, "Step of the best value"},
    {"loss", " train_loss ", "r.train_loss", FieldKind::Number, "Last training loss"},
    {"eval_loss", "", "r.eval_loss", FieldKind::Number, "Last evaluation loss"},
    {"tag", " tags ", "(SELECT group_concat(t.tag, ', ') FROM tags t WHERE t.uuid = r.uuid)", FieldKind::Tags,
     "A tag of the run"},
    {"note", " notes ", "(SELECT u.note FROM user_runs u WHERE u.uuid = r.uuid)", FieldKind::Text, "Your note"},
    {"starred", " star ", "r.starred", FieldKind::Flag, "yes or no"},
    {"archived", "", "r.archived", FieldKind::Flag, "yes or no"},
    {"colour", " color ", "r.colour", FieldKind::Text, "Colour you gave"},
    {"lives", "", "r.lives", FieldKind::Number, "How often it was started (1 + resumes)"},
    {"parent", "", "r.parent", FieldKind::Text, "The run it branched from"},
    {"host", "", "r.host", FieldKind::Text, "Machine"},
    {"device", "", "r.device", FieldKind::Text, "cpu, cuda:0, …"},
    {"dtype", " compute_dtype ", "r.compute_dtype", FieldKind::Text, "fp32 or bf16"},
    {"chat_template", " template ", "r.chat_template", FieldKind::Text, "Chat template of conversations: chatml, llama-3, …"},
    {"version", "", "r.version", FieldKind::Text, "Version of the program that trained"},
};

// Metrics that have a meaning before any run has recorded them.
constexpr const char* kKnownMetrics[] = {
    "train/loss",         "train/learning_rate", "train/grad_norm",     "train/tokens_per_second",
    "train/images_per_second", "train/step_seconds", "memory/resident",     "memory/peak",         "memory/device",
    "factors/norm_A",     "factors/norm_B",      "factors/balance_gap", "factors/relative_update",
    "eval/loss",          "eval/accuracy",       "eval/matthews",       "eval/f1",
    "eval/pearson",       "eval/spearman",       "eval/perplexity",     "eval/exact_match", "eval/answer_f1"};

bool endsWith(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

const Column* findColumn(const std::string& name) {
  for (const Column& column : kColumns)
    if (name == column.name || std::string_view(column.aliases).find(" " + name + " ") != std::string_view::npos)
      return &column;
  return nullptr;
}

// "accuracy" is eval/accuracy before train/accuracy before any other that ends so. Several others: all of them.
std::vector<std::string> matchMetric(const std::string& name, const std::vector<std::string>& metrics) {
  const auto known = [&metrics](const std::string& full) {
    return std::find(metrics.begin(), metrics.end(), full) != metrics.end() ||
           std::find_if(std::begin(kKnownMetrics), std::end(kKnownMetrics),
                        [&full](const char* m) { return full == m; }) != std::end(kKnownMetrics);
  };
  for (const char* prefix : {"", "eval/", "train/", "memory/", "factors/"})
    if (known(prefix + name)) return {prefix + name};
  std::vector<std::string> found;
  for (const std::string& metric : metrics)
    if (endsWith(metric, "/" + name)) found.push_back(metric);
  return found;
}

}  // namespace

const std::vector<FilterField>& filterFields() {
  static const std::vector<FilterField> fields = [] {
    std::vector<FilterField> all;
    for (const Column& column : kColumns)
      all.push_back({column.name, column.help, column.kind != FieldKind::Text && column.kind != FieldKind::Tags});
    return all;
  }();
  return fields;
}

Result<ResolvedField> resolveField(std::string_view given, const FilterNames& names) {
  const std::string name(given), lower = foldText(given);
  if (const Column* column = findColumn(lower)) return ResolvedField{column->kind, column->expression, {}, {}, {}};

  const bool configKey = std::find(names.configKeys.begin(), names.configKeys.end(), lower) != names.configKeys.end() ||
                         findOption(lower) != nullptr;
  if (configKey) {
    ResolvedField field{FieldKind::Config, "", {lower}, "", ""};
    const char* from =
        " FROM run_config_values v WHERE v.name_id = (SELECT id FROM names WHERE text = ?) AND v.rid = r.rid)";
    field.expression = std::string("(SELECT COALESCE(v.number, NULLIF(v.text, ''))") + from;
    field.numberExpression = std::string("(SELECT v.number") + from;
    field.textExpression = std::string("(SELECT v.text") + from;
    return field;
  }

  std::string metric = name, which = "last";
  for (const char* part : {"best", "min", "max", "first", "last"})
    if (endsWith(name, std::string(".") + part)) {
      which = part;
      metric = name.substr(0, name.size() - which.size() - 1);
    }
  const std::vector<std::string> matches = matchMetric(metric, names.metrics);
  if (matches.size() == 1)
    return ResolvedField{
        FieldKind::Number,
        fmt::format("(SELECT m.{} FROM run_metrics m WHERE m.name_id = (SELECT id FROM names WHERE text = ?) "
                    "AND m.rid = r.rid)",
                    which),
        {matches[0]},
        "",
        ""};
  if (matches.size() > 1)
    return Error{ErrorCode::Usage,
                 "several metrics have this name",
                 "",
                 name,
                 fmt::format("{}", fmt::join(matches, " or ")),
                 "Write the whole name."};

  std::vector<std::string> candidates = names.metrics;
  candidates.insert(candidates.end(), names.configKeys.begin(), names.configKeys.end());
  for (const Column& column : kColumns) candidates.emplace_back(column.name);
  for (const std::string& full : names.metrics) candidates.push_back(full.substr(full.rfind('/') + 1));
  const std::string near = nearestText(lower, candidates);
  return Error{ErrorCode::Usage,
               "there is no such field",
               "",
               name,
               "a column, a metric or a config key",
               near.empty()
                   ? "Fields are for example method, rank, model, data, loss, eval/accuracy, optim.learning_rate."
                   : fmt::format("Did you mean {}?", near)};
}

Result<FieldSql> fieldExpression(const std::string& field, const FilterNames& names) {
  Result<ResolvedField> resolved = resolveField(field, names);
  if (!resolved) return resolved.error();
  const bool numeric =
      resolved->kind != FieldKind::Text && resolved->kind != FieldKind::Tags && resolved->kind != FieldKind::Config;
  return FieldSql{std::move(resolved->expression), std::move(resolved->parameters), numeric};
}

std::optional<double> parseFilterNumber(std::string_view text, FieldKind kind) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || !std::isfinite(value)) return std::nullopt;
  std::string_view unit(rest, static_cast<size_t>(text.data() + text.size() - rest));
  if (unit.empty()) return value;
  if (kind == FieldKind::Duration) {
    if (unit == "s") return value;
    if (unit == "min" || unit == "m") return value * 60;
    if (unit == "h") return value * 3600;
    if (unit == "d") return value * 86400;
    return std::nullopt;
  }
  if (unit == "%") return value / 100;
  if (unit.size() == 2 && unit[1] == 'B') unit.remove_suffix(1);
  if (unit == "k" || unit == "K") return value * 1e3;
  if (unit == "M") return value * 1e6;
  if (unit == "G" || unit == "B") return value * 1e9;
  if (unit == "T") return value * 1e12;
  return std::nullopt;
}

std::optional<TimeSpan> parseFilterTime(std::string_view text) {
  int parts[6] = {0, 1, 1, 0, 0, 0};
  constexpr int kWidths[6] = {4, 2, 2, 2, 2, 2};
  int given = 0;
  for (size_t at = 0; given < 6 && at < text.size(); ++given) {
    const auto width = static_cast<size_t>(kWidths[given]);
    if (at + width > text.size()) return std::nullopt;
    const auto [end, failure] = std::from_chars(text.data() + at, text.data() + at + width, parts[given]);
    if (failure != std::errc() || end != text.data() + at + width) return std::nullopt;
    at += width;
    if (at == text.size()) continue;
    const char sign = text[at++];
    const bool fits = given < 2 ? sign == '-' : given == 2 ? sign == 'T' || sign == 't' : sign == ':';
    if (!fits || at == text.size()) return std::nullopt;
    if (given == 5) return std::nullopt;
  }
  if (given == 0 || parts[0] < 1970 || parts[1] < 1 || parts[1] > 12 || parts[2] < 1 || parts[2] > 31)
    return std::nullopt;
  const auto moment = [&parts](int year, int month, int day, int hour, int minute, int second) {
    std::tm local{};
    local.tm_year = parts[0] - 1900 + year;
    local.tm_mon = parts[1] - 1 + month;
    local.tm_mday = parts[2] + day;
    local.tm_hour = parts[3] + hour;
    local.tm_min = parts[4] + minute;
    local.tm_sec = parts[5] + second;
    local.tm_isdst = -1;
    return static_cast<double>(std::mktime(&local));
  };
  return TimeSpan{moment(0, 0, 0, 0, 0, 0),
                  moment(given == 1, given == 2, given == 3, given == 4, given == 5, given == 6)};
}

std::optional<bool> parseFilterFlag(std::string_view text) {
  const std::string lower = foldText(text);
  if (lower == "yes" || lower == "true" || lower == "1" || lower == "on") return true;
  if (lower == "no" || lower == "false" || lower == "0" || lower == "off") return false;
  return std::nullopt;
}

}  // namespace rankscope

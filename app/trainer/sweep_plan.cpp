#include "app/trainer/sweep_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "app/trainer/config_arguments.h"
#include "app/trainer/store_documents.h"
#include "core/config/task_heads.h"

namespace rankscope {
namespace {

constexpr size_t kMostRuns = 10000;

std::vector<std::string> parts(const std::string& text, char separator) {
  std::vector<std::string> found;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    found.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return found;
}

std::string shortKey(const std::string& key) { return key.substr(key.rfind('.') + 1); }

// The value as the table shows it; a dash where the option means nothing (the warm-up of LoRA).
std::string shownValue(const RunConfig& config, const std::string& key) {
  const OptionSpec* option = findOption(key);
  return option && applies(*option, config) ? config.valueText(key) : "–";
}

double metricOf(const RunRow& row, const std::string& name) {
  const auto found = row.metrics.find(name);
  return found == row.metrics.end() ? kUnknown : found->second.last;
}

struct Column {
  std::string title, name;  // in the table, and in the document
  double (*value)(const RunRow& row);
  std::string (*shown)(double value);
};

std::string fourDigits(double value) { return formatNumber(value, 4); }

// The speed's column is called by what its runs count.
constexpr const char* kSpeed = "speed";
std::string speedTitle(const std::vector<SweepRun>& runs) {
  std::set<std::string> units;
  for (const SweepRun& run : runs)
    if (run.row) units.insert(unitOfTask(run.row->task));
  return units.size() == 1 ? *units.begin() + "/s" : kSpeed;
}

const std::vector<Column>& columns() {
  static const std::vector<Column> all = {
      {"best metric", "best", [](const RunRow& row) { return row.bestValue; }, fourDigits},
      {"accuracy", "eval/accuracy", [](const RunRow& row) { return metricOf(row, "eval/accuracy"); }, fourDigits},
      {"f1", "eval/f1", [](const RunRow& row) { return metricOf(row, "eval/f1"); }, fourDigits},
      {"matthews", "eval/matthews", [](const RunRow& row) { return metricOf(row, "eval/matthews"); }, fourDigits},
      {"pearson", "eval/pearson", [](const RunRow& row) { return metricOf(row, "eval/pearson"); }, fourDigits},
      {"spearman", "eval/spearman", [](const RunRow& row) { return metricOf(row, "eval/spearman"); }, fourDigits},
      {"perplexity", "eval/perplexity", [](const RunRow& row) { return metricOf(row, "eval/perplexity"); }, fourDigits},
      {"eval loss", "eval/loss", [](const RunRow& row) { return row.lastEvalLoss; }, fourDigits},
      {"train loss", "train/loss", [](const RunRow& row) { return row.lastTrainLoss; }, fourDigits},
      {"trainable", "trainable",
       [](const RunRow& row) { return row.trainable > 0 ? static_cast<double>(row.trainable) : kUnknown; },
       [](double value) { return formatCount(std::llround(value)); }},
      {"seconds", "seconds", [](const RunRow& row) { return row.seconds; },
       [](double value) { return formatNumber(value, 3); }},
      {kSpeed, "tokens_per_second",
       [](const RunRow& row) { return row.seconds > 0 ? static_cast<double>(row.tokens) / row.seconds : kUnknown; },
       [](double value) { return formatCount(std::llround(value)); }},
      {"peak memory", "peak_memory",
       [](const RunRow& row) { return row.peakMemory > 0 ? static_cast<double>(row.peakMemory) : kUnknown; },
       [](double value) { return formatBytes(value); }},
  };
  return all;
}

std::string cell(const Column& column, const GroupStatistic& statistic) {
  if (statistic.n == 0 || !std::isfinite(statistic.mean)) return "–";
  const std::string mean = column.shown(statistic.mean);
  // A spread only where there is one: the number of parameters is the same for every seed.
  if (statistic.n < 2 || !(statistic.sd > 0)) return mean;
  return fmt::format("{} ± {}", mean, column.value == columns().back().value ? formatBytes(statistic.sd)
                                                                             : formatNumber(statistic.sd, 2));
}

}  // namespace

Result<SweepAxis> parseSweepAxis(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size())
    return Error{ErrorCode::Usage, "this is not a key with values", "--over", text, "key=value,value,…",
                 "For instance --over method.rank=2,4,8."};
  SweepAxis axis;
  axis.key = text.substr(0, equals);
  const std::string values = text.substr(equals + 1);
  axis.values = parts(values, values.find(';') == std::string::npos ? ',' : ';');
  if (std::set<std::string>(axis.values.begin(), axis.values.end()).size() != axis.values.size())
    return Error{ErrorCode::Usage, "a value is named twice", "--over", text, "each value once", "Leave one of them out."};
  return axis;
}

Result<SweepPlan> planSweep(const RunConfig& base, std::vector<SweepAxis> axes, const std::vector<int64_t>& seeds,
                            const Places& places, std::vector<Error>& mistakes) {
  if (!seeds.empty()) {
    SweepAxis axis{"seed", {}};
    for (const int64_t seed : seeds) axis.values.push_back(std::to_string(seed));
    axes.push_back(std::move(axis));
  }
  SweepPlan plan;
  size_t count = 1;
  for (const SweepAxis& axis : axes) {
    if (std::find(plan.keys.begin(), plan.keys.end(), axis.key) != plan.keys.end())
      return Error{ErrorCode::Usage, "an option is named twice", "--over", axis.key, "each option once",
                   "Give all its values after one --over (seeds after --seeds)."};
    plan.keys.push_back(axis.key);
    count *= axis.values.size();
    if (count > kMostRuns)
      return Error{ErrorCode::Usage, "the grid is too large", "--over", fmt::format("over {} runs", kMostRuns),
                   fmt::format("at most {}", kMostRuns), "Leave values out, or make several sweeps of it."};
  }
  std::set<std::string> told;
  const auto tell = [&](const Error& mistake) {
    if (told.insert(mistake.message()).second) mistakes.push_back(mistake);
  };
  std::set<std::string> known;
  std::vector<size_t> at(axes.size(), 0);
  for (size_t place = 0; place < count; ++place) {
    std::vector<std::string> assignments;
    size_t rest = place;
    for (size_t i = axes.size(); i-- > 0;) {
      at[i] = rest % axes[i].values.size();
      rest /= axes[i].values.size();
    }
    for (size_t i = 0; i < axes.size(); ++i) assignments.push_back(axes[i].key + "=" + axes[i].values[at[i]]);
    RunConfig config = base;
    for (const ValidationIssue& issue : config.assign(assignments)) tell(issue.error);
    config.dropInapplicable();  // RefLoRA's warm-up is meant for the methods that have one
    config.unset("name");
    if (!known.insert(config.toJson().dump()).second) {
      ++plan.alike;
      continue;
    }
    std::string name = base.str("name");
    for (const std::string& key : plan.keys) {
      const std::string value = shownValue(config, key);
      if (value == "–") continue;
      name += (name.empty() ? "" : " ") + (key == "method.name" ? value : shortKey(key) + "=" + value);
    }
    if (auto named = config.set("name", name); !named) tell(named.error());
    for (const Error& mistake : configMistakes(config, places)) tell(mistake);
    plan.configs.push_back(std::move(config));
  }
  if (!mistakes.empty()) return mistakes.front();
  return plan;
}

SweepTable sweepTable(const std::vector<std::string>& keys, const std::vector<SweepRun>& runs) {
  std::vector<std::string> shownKeys;
  for (const std::string& key : keys)
    if (key != "seed") shownKeys.push_back(key);
  struct Place {
    std::vector<std::string> values;
    std::vector<const SweepRun*> runs;
  };
  std::vector<Place> places;
  for (const SweepRun& run : runs) {
    std::vector<std::string> values;
    for (const std::string& key : shownKeys) values.push_back(shownValue(run.config, key));
    auto found = std::find_if(places.begin(), places.end(), [&](const Place& place) { return place.values == values; });
    if (found == places.end()) found = places.insert(places.end(), Place{values, {}});
    found->runs.push_back(&run);
  }

  SweepTable result;
  result.document = nlohmann::json::array();
  std::vector<const Column*> used;
  std::vector<std::vector<GroupStatistic>> statistics(places.size());
  for (const Column& column : columns()) {
    bool any = false;
    std::vector<GroupStatistic> found;
    for (const Place& place : places) {
      std::vector<double> values;
      for (const SweepRun* run : place.runs)
        if (run->row && run->job.state == JobState::Done) values.push_back(column.value(*run->row));
      found.push_back(groupStatistic(values));
      any = any || found.back().n > 0;
    }
    if (!any) continue;
    used.push_back(&column);
    for (size_t i = 0; i < places.size(); ++i) statistics[i].push_back(found[i]);
  }

  for (const std::string& key : shownKeys) result.table.header.push_back(shortKey(key));
  result.table.header.emplace_back("runs");
  for (const Column* column : used) {
    result.table.rightAligned.push_back(result.table.header.size());
    result.table.header.push_back(column->title == kSpeed ? speedTitle(runs) : column->title);
  }
  for (size_t i = 0; i < places.size(); ++i) {
    const Place& place = places[i];
    const auto done = std::count_if(place.runs.begin(), place.runs.end(),
                                    [](const SweepRun* run) { return run->job.state == JobState::Done; });
    nlohmann::json values = nlohmann::json::object(), ids = nlohmann::json::array(), states = nlohmann::json::array();
    for (size_t k = 0; k < shownKeys.size(); ++k)
      values[shownKeys[k]] = place.values[k] == "–" ? nlohmann::json() : place.runs.front()->config.value(shownKeys[k]);
    for (const SweepRun* run : place.runs) {
      ids.push_back(run->job.spec.runId);
      states.push_back(jobStateName(run->job.state));
    }
    nlohmann::json numbers = nlohmann::json::object();
    std::vector<std::string> row = place.values;
    row.push_back(done == static_cast<std::ptrdiff_t>(place.runs.size()) ? std::to_string(done)
                                                                         : fmt::format("{} of {}", done, place.runs.size()));
    for (size_t k = 0; k < used.size(); ++k) {
      row.push_back(cell(*used[k], statistics[i][k]));
      numbers[used[k]->name] = statisticDocument(statistics[i][k]);
    }
    result.table.rows.push_back(std::move(row));
    result.document.push_back(
        {{"values", values}, {"runs", ids}, {"states", states}, {"finished", done}, {"statistics", numbers}});
  }
  return result;
}

}  // namespace rankscope

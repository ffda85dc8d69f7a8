#pragma once
// What the store says about runs: rows of the table of runs, queries over it, groups, and the smaller records that hang
// on a run (log lines, samples, checkpoints, changes). Plain values, safe to hand between threads. A run's id is its
// uuid. Numbers that are not known (yet) are std::nullopt or NaN, never 0.

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config/log.h"

namespace rankscope {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// Whether a larger or a smaller value of a metric is the better one; decides "best" and the colour of deltas.
enum class Better { Lower, Higher, Neither };
Better betterDirection(const std::string& metricName);

// Written at ingest, never aggregated when listing. `best` is min or max by betterDirection (last where Neither).
struct MetricSummary {
  double first = kUnknown, last = kUnknown, best = kUnknown, min = kUnknown, max = kUnknown;
  int64_t bestStep = -1, lastStep = -1;
  int64_t count = 0;  // points, of which finite ones count towards the values above
};

struct RunRow {
  std::string id;
  std::string name;          // the name shown: the user's own if given, else the config's, else made from the config
  std::string status;        // queued loading running paused evaluating … finished stopped interrupted failed
  std::string statusDetail;  // what a state is about, or the error's one line
  std::string method;
  std::optional<int64_t> rank;  // none for full fine-tuning
  double alpha = kUnknown;
  std::string modelName, dataName, task;
  int64_t seed = 0;
  double createdAt = kUnknown, startedAt = kUnknown, finishedAt = kUnknown;  // unix seconds
  int64_t step = 0, totalSteps = 0, tokens = 0;
  double seconds = kUnknown;     // training time so far
  double etaSeconds = kUnknown;  // of a live run, as it said last
  int64_t peakMemory = 0;        // bytes; 0 = not measured
  int64_t trainable = 0, parameters = 0;
  std::string bestMetric;  // the metric that decides "best" of this run
  double bestValue = kUnknown;
  int64_t bestStep = -1;
  double lastTrainLoss = kUnknown, lastEvalLoss = kUnknown;
  std::map<std::string, MetricSummary> metrics;  // every series of the run except those of single sites
  std::vector<std::string> tags;
  std::string note;    // Markdown
  std::string colour;  // "" = by method, rank and seed; else "#rrggbb"
  bool starred = false, archived = false, trashed = false;
  std::vector<float> sparkline;  // at most 64 values: training loss, each the mean of an equal share of the points
  std::string host, version, device, computeDtype;
  std::string chatTemplate;  // of conversations, as it was resolved; empty: none
  std::string folder;  // absolute path of the run's folder
  int lives = 0;       // how often it was started (1 + resumes)
  bool live() const;   // in one of the states that only a living process can be in
};

struct SortKey {
  // A column of the filter language (name, status, created, rank, loss, …), a metric ("eval/accuracy",
  // "accuracy.best") or a config key ("optim.learning_rate"). Unknown values come last in either direction.
  std::string key;
  bool descending = false;
};

struct RunQuery {
  std::string text;           // words that must all occur (quick search), no operators
  std::string filter;         // the filter box: words, /regex/, comparisons (filter.h)
  std::vector<SortKey> sort;  // empty: newest first
  int64_t limit = 200;        // -1 = all
  int64_t offset = 0;
  bool includeArchived = false;
  bool onlyTrashed = false;      // the trash instead of the history
  std::vector<std::string> ids;  // if given, only these
  bool withMetrics = true;       // fill RunRow::metrics
  bool withSparkline = true;
};

struct RunPage {
  std::vector<RunRow> rows;
  int64_t total = 0;  // rows that match, over all pages
};

// Mean over runs that differ only in what is not a key, for example over seeds.
struct GroupStatistic {
  int64_t n = 0;
  double mean = kUnknown;
  double sd = kUnknown;                    // sample standard deviation; unknown for n < 2
  double low = kUnknown, high = kUnknown;  // 95% interval of the mean by Student's t; unknown for n < 2
  double min = kUnknown, max = kUnknown;
};
// 95% (or `level`) t-interval of finite values; others are left out and not counted in n.
GroupStatistic groupStatistic(const std::vector<double>& values, double level = 0.95);
double studentQuantile(double probability, double degreesOfFreedom);

struct GroupQuery {
  RunQuery runs;                     // which runs (limit, offset and sort are ignored)
  std::vector<std::string> keys;     // columns, config keys or "tag", as in SortKey
  std::vector<std::string> metrics;  // as in SortKey: "eval/accuracy", "accuracy.best", "seconds", …
};
struct RunGroup {
  std::vector<std::string> key;  // one text per GroupQuery::keys; "" = unset
  std::vector<std::string> runIds;
  std::vector<GroupStatistic> statistics;  // one per GroupQuery::metrics
};

// One config key that differs among runs; values[i] belongs to ids[i] of the question, "" = not set there.
struct RunDifference {
  std::string key;
  std::vector<std::string> values;
};

// A line of a run's own log (core/config/log.h's LogLine is the program's).
struct RunLogLine {
  int64_t sequence = 0;  // number of the event in the run's log
  double time = 0;
  int64_t step = -1;  // -1 = said at no step
  LogLevel level = LogLevel::Info;
  std::string kind;  // log error state command life
  std::string text;
};
struct LogQuery {
  LogLevel minimum = LogLevel::Debug;
  std::string contains;  // case does not matter
  int64_t before = -1;   // lines with a smaller sequence (paging backwards); -1 = from the newest
  int64_t after = -1;    // lines with a larger sequence (following); -1 = no bound
  int64_t limit = 500;   // the newest that match; returned oldest first
};

struct SampleRow {
  int64_t sequence = 0, step = 0;
  double time = 0;
  std::string prompt, text;
};
struct CheckpointRow {
  int64_t step = 0, bytes = 0;
  double time = 0;
  std::string path;    // relative to the run's folder
  std::string reason;  // schedule best asked end signal
  bool best = false;
  bool present = false;  // the folder is (still) there
};
struct ChangeRow {  // changed by hand while running
  int64_t sequence = 0, step = 0;
  double time = 0;
  std::string key, from, to;  // from/to as JSON text
};
struct SiteRow {  // an adapted or changed weight matrix
  int index = 0;
  std::string name, kind;
  int64_t layer = -1, out = 0, in = 0, rank = 0;
};

}  // namespace rankscope

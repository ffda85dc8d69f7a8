// A store of 10,000 runs (20 metrics and a sparkline each) and 50 curves of 100,000 points, made through the writer's
// own code; then the times of what the workbench asks for. "cold" is a new connection with the file's pages dropped
// from the system's cache; "warm" the median of repeated questions.
//   store_bench [--runs N] [--points N] [--ingest N] [--keep DIR]

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>

#include "core/runlog/event_log.h"
#include "core/runlog/uuid.h"
#include "core/store/database.h"
#include "core/store/ingest.h"
#include "core/store/pyramid.h"
#include "core/store/run_rows.h"
#include "core/store/series_rows.h"

namespace {

using namespace rankscope;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

template <typename T>
T checked(Result<T> result) {
  if (!result) {
    fmt::print(stderr, "{}\n", result.error().message());
    std::exit(1);
  }
  return std::move(*result);
}
void checked(const Result<void>& result) {
  if (!result) {
    fmt::print(stderr, "{}\n", result.error().message());
    std::exit(1);
  }
}

void dropFromCache(const fs::path& file) {
  for (const char* suffix : {"", "-wal"}) {
    const int descriptor = ::open((file.string() + suffix).c_str(), O_RDONLY);
    if (descriptor < 0) continue;
    ::fsync(descriptor);
    ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    ::close(descriptor);
  }
}

const char* kMethods[] = {"lora", "rora", "reflora", "full"};
const char* kData[] = {"glue/mrpc/train.tsv", "glue/cola/train.tsv", "glue/rte/train.tsv", "wiki/train.txt"};

nlohmann::json configOf(int i) {
  return {
      {"version", 1},
      {"name", fmt::format("run-{}", i)},
      {"seed", i % 5},
      {"model", {{"path", i % 3 ? "models:gpt2" : "starter:stories260K"}}},
      {"data",
       {{"train", kData[i / 4 % 4]}, {"task", i / 4 % 4 == 3 ? "causal_lm" : "classification"}, {"max_length", 256}}},
      {"method", {{"name", kMethods[i % 4]}, {"rank", 1 << (i / 3 % 8)}, {"alpha", 16}, {"dropout", 0.0}}},
      {"optim",
       {{"name", "adamw"},
        {"learning_rate", std::pow(10.0, -5 + i % 3)},
        {"weight_decay", 0.01},
        {"schedule", "linear"}}},
      {"train", {{"epochs", 3}, {"batch_size", 8}, {"accumulation", 1}, {"best_metric", ""}}}};
}

void makeRuns(Store& store, int runs) {
  std::vector<std::string> metrics = {
      "train/loss",      "train/learning_rate", "train/grad_norm", "train/tokens_per_second", "train/step_seconds",
      "memory/resident", "memory/peak",         "eval/loss",       "eval/accuracy",           "eval/f1",
      "eval/matthews"};
  for (const char* name : {"norm_A", "norm_B", "balance_gap"})
    for (const char* part : {"", "/q10", "/q90"}) metrics.push_back(fmt::format("factors/{}{}", name, part));
  std::mt19937 random(1);
  StoreDatabase& database = store.database();
  for (int begin = 0; begin < runs; begin += 200) {
    checked(database.write("runs are made", StoreDatabase::Durability::Derived, [&] {
      for (int i = begin; i < std::min(begin + 200, runs); ++i) {
        RunRecord run;
        run.uuid = newUuid();
        run.created = 1.6e9 + i * 600.0;
        run.started = run.created + 5;
        run.finished = run.created + 500;
        run.status = i % 17 == 0 ? "failed" : "finished";
        run.step = run.totalSteps = 300;
        run.tokens = 300 * 2048;
        run.seconds = 480.5;
        run.peakMemory = 1000000000 + i;
        run.trainable = 12288;
        run.folder = "runs/" + run.uuid;
        insertRun(database, run);
        storeConfig(database, run, configOf(i));
        SeriesWriter writer(database, run.rid);
        for (const std::string& metric : metrics) {
          std::vector<SeriesPoint> points;
          for (int64_t step = 5; step <= 300; step += 5)
            points.push_back(
                {step, static_cast<double>(step) / 100, step * 2048, static_cast<double>(step) * 1.6,
                 2 + std::exp(-static_cast<double>(step) / 50) + static_cast<double>(random() % 1000) / 5000});
          writer.append(metric, points);
        }
        refreshSummary(database, run, true);
        saveRun(database, run);
        saveCursor(database, run.rid, {1, 1, 1, 1});
        if (i % 10 == 0) Query(database, "INSERT INTO tags (uuid, tag) VALUES (?, ?)").bind(run.uuid, "paper").run();
        if (i % 10 == 0) refreshUserColumns(database, run.uuid);
      }
    }));
  }
}

std::vector<std::string> makeCurves(Store& store, int curves, int64_t length) {
  std::vector<std::string> ids;
  std::mt19937 random(2);
  StoreDatabase& database = store.database();
  for (int c = 0; c < curves; ++c) {
    RunRecord run;
    run.uuid = newUuid();
    run.created = 1.7e9 + c;
    ids.push_back(run.uuid);
    std::vector<SeriesPoint> points;
    for (int64_t i = 0; i < length; ++i)
      points.push_back({i, static_cast<double>(i) / 937.0, i * 2048,
                        static_cast<double>(i) * 0.317 + static_cast<double>(random() % 100) * 1e-3,
                        static_cast<double>(static_cast<float>(2 + std::sin(static_cast<double>(i) / 4000) +
                                                               static_cast<double>(random() % 1000) / 3000))});
    checked(database.write("curves are made", StoreDatabase::Durability::Derived, [&] {
      insertRun(database, run);
      storeConfig(database, run, configOf(c));
      SeriesWriter(database, run.rid).append("train/loss", points);
      saveRun(database, run);
    }));
  }
  return ids;
}

void timed(const std::string& label, int times, const std::function<size_t()>& ask) {
  std::vector<double> all;
  size_t found = 0;
  for (int i = 0; i < times; ++i) {
    const auto start = Clock::now();
    found = ask();
    all.push_back(since(start));
  }
  std::sort(all.begin(), all.end());
  fmt::print("{:<64} {:>9.2f} ms   (worst {:.2f}, {} found)\n", label, all[all.size() / 2], all.back(), found);
}

void askRuns(const fs::path& file) {
  dropFromCache(file);
  const auto start = Clock::now();
  auto store = checked(Store::open(file, Store::Mode::ReadOnly));
  const RunPage page = checked(store->listRuns({.limit = 100}));
  fmt::print("{:<64} {:>9.2f} ms   ({} of {} rows)\n", "open and first page of 100, cold", since(start),
             page.rows.size(), page.total);
  const auto ask = [&](const RunQuery& query) {
    return [&store, query] { return static_cast<size_t>(checked(store->listRuns(query)).total); };
  };
  timed("first page of 100, newest first, warm", 15, ask({.limit = 100}));
  timed("page 90 of 100", 15, ask({.limit = 100, .offset = 9000}));
  timed("all rows without metrics and sparklines", 5, ask({.limit = -1, .withMetrics = false, .withSparkline = false}));
  timed("all rows with metrics and sparklines", 3, ask({.limit = -1}));
  for (const char* filter :
       {"reflora mrpc", "/run-9\\d\\d$/", "rank >= 16 and method = reflora and data ~ mrpc", "loss < 2.05",
        "accuracy > 2.1 and train/grad_norm < 2.1", "optim.learning_rate = 1e-3 and rank > 8", "tag = paper",
        "not (method = full or seed = 2) created > 2020-10-01"})
    timed(std::string("filter: ") + filter, 15, ask({.filter = filter, .limit = 100}));
  timed("sorted by eval/accuracy", 15, ask({.sort = {{"eval/accuracy", true}}, .limit = 100}));
  timed("sorted by name (natural order)", 15, ask({.sort = {{"name", false}}, .limit = 100}));
  timed("sorted by optim.learning_rate, then loss", 15,
        ask({.sort = {{"optim.learning_rate", false}, {"loss", true}}, .limit = 100}));
  timed("grouped by method, rank, data: 3 statistics", 5, [&] {
    return checked(store->groupRuns(
                       {.keys = {"method", "rank", "data"}, .metrics = {"accuracy", "eval/loss.best", "seconds"}}))
        .size();
  });
  const std::vector<std::string> ids = checked(store->listRunIds({.filter = "seed = 1"}));
  timed("config differences of 50 runs", 5, [&] {
    return checked(store->configDifferences({ids.begin(), ids.begin() + 50})).size();
  });
  timed("names for completion", 5, [&] { return checked(store->names()).metrics.size(); });
}

void askCurves(const fs::path& file, const std::vector<std::string>& ids, int64_t length) {
  dropFromCache(file);
  auto store = checked(Store::open(file, Store::Mode::ReadOnly));
  const auto all = [&](double from, double to, Axis axis) {
    return [&, from, to, axis] {
      size_t buckets = 0;
      for (const std::string& id : ids)
        buckets += checked(store->readSeriesRange(id, "train/loss", from, to, 1400, axis)).buckets.size();
      return buckets;
    };
  };
  const auto end = static_cast<double>(length);
  timed(fmt::format("{} curves whole, 1400 buckets each, cold", ids.size()), 1, all(0, end, Axis::Step));
  timed(fmt::format("{} curves whole, 1400 buckets each, warm", ids.size()), 9, all(0, end, Axis::Step));
  timed(fmt::format("{} curves whole by seconds", ids.size()), 9, all(0, end * 0.317, Axis::Seconds));
  timed(fmt::format("{} curves, a third", ids.size()), 9, all(end / 3, end * 2 / 3, Axis::Step));
  timed(fmt::format("{} curves, a fiftieth", ids.size()), 9, all(end * 0.5, end * 0.52, Axis::Step));
  timed(fmt::format("{} curves, every point of all columns", ids.size()), 1, [&] {
    size_t points = 0;
    for (const std::string& id : ids) points += checked(store->readSeries(id, "train/loss")).size();
    return points;
  });
  std::vector<SeriesPyramid> pyramids;
  for (const std::string& id : ids) {
    Series series = checked(store->readSeries(id, "train/loss"));
    pyramids.emplace_back(series.axis(Axis::Step), std::move(series.values));
  }
  double from = 0;
  timed(fmt::format("{} curves in memory, 1400 buckets each (a frame of panning)", ids.size()), 51, [&] {
    size_t buckets = 0;
    from += end / 400;
    for (const SeriesPyramid& pyramid : pyramids) buckets += pyramid.range(from, from + end * 0.8, 1400).size();
    return buckets;
  });
}

void askIngest(const fs::path& home, int64_t steps) {
  const fs::path folder = home / "runs" / newUuid();
  fs::create_directories(folder);
  {
    FILE* config = std::fopen((folder / "config.json").c_str(), "w");
    const std::string text = configOf(1).dump();
    std::fwrite(text.data(), 1, text.size(), config);
    std::fclose(config);
  }
  auto store = checked(Store::open(home / "store.sqlite", Store::Mode::ReadWrite));
  auto writer = checked(EventWriter::open(folder / "events.log"));
  event::Start start;
  for (int s = 0; s < 50; ++s) start.sites.push_back({fmt::format("layers.{}.q_proj", s), "q_proj", s, 64, 64, 8});
  writer->append(start);
  event::Values values;
  for (int i = 0; i < 20; ++i) values.emplace_back(fmt::format("train/m{}", i), 0.0);
  event::Sites sites{{},
                     {{"norm_A", std::vector<double>(50)},
                      {"norm_B", std::vector<double>(50)},
                      {"balance_gap", std::vector<double>(50)},
                      {"relative_update", std::vector<double>(50)}}};
  int64_t step = 0;
  const auto say = [&] {
    ++step;
    const event::Point at{step, static_cast<double>(step) / 100, step * 512, static_cast<double>(step) * 0.1};
    for (size_t i = 0; i < values.size(); ++i)
      values[i].second = std::sin(static_cast<double>(step) * 0.1 + static_cast<double>(i));
    writer->append(event::Metrics{at, values});
    if (step % 10) return;
    sites.at = at;
    for (auto& [name, numbers] : sites.values)
      for (size_t i = 0; i < numbers.size(); ++i)
        numbers[i] = std::cos(static_cast<double>(step) * 0.01 + static_cast<double>(i));
    writer->append(sites);
  };
  while (step < steps) say();
  checked(writer->flush());
  const auto begin = Clock::now();
  const IngestReport report = ingestRuns(*store, home / "runs", IngestScope::All);
  for (const Error& error : report.problems) fmt::print(stderr, "{}\n", error.message());
  const double time = since(begin);
  fmt::print("{:<64} {:>9.2f} ms   ({:.0f} events/s)\n", fmt::format("ingest of {} events (220 series)", report.events),
             time, static_cast<double>(report.events) / time * 1000);
  std::vector<double> times;
  for (int tick = 0; tick < 100; ++tick) {
    say(), say(), say();
    checked(writer->flush());
    const auto at = Clock::now();
    ingestRuns(*store, home / "runs", IngestScope::Active);
    times.push_back(since(at));
  }
  std::sort(times.begin(), times.end());
  fmt::print("{:<64} {:>9.2f} ms   (worst {:.2f})\n", "ingest of three new steps of a live run", times[50],
             times.back());
}

}  // namespace

int main(int argc, char** argv) {
  int runs = 10000;
  int64_t points = 100000, ingest = 20000;
  fs::path keep;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--runs")
      runs = std::atoi(argv[i + 1]);
    else if (option == "--points")
      points = std::atoll(argv[i + 1]);
    else if (option == "--ingest")
      ingest = std::atoll(argv[i + 1]);
    else if (option == "--keep")
      keep = argv[i + 1];
  }
  const fs::path home = keep.empty() ? fs::temp_directory_path() / ("store-bench-" + newUuid()) : keep;
  fs::create_directories(home / "runs");
  const fs::path file = home / "store.sqlite";
  std::vector<std::string> ids;
  {
    const auto start = Clock::now();
    auto store = checked(Store::open(file, Store::Mode::ReadWrite));
    makeRuns(*store, runs);
    fmt::print("{} runs made in {:.1f} s; ", runs, since(start) / 1000);
    checked(store->database().checkpoint());
    fmt::print("{:.0f} MB\n", static_cast<double>(fs::file_size(file)) / 1e6);
    const auto curves = Clock::now();
    ids = makeCurves(*store, 50, points);
    checked(store->database().checkpoint());
    fmt::print("50 curves of {} points made in {:.1f} s; {:.0f} MB in all\n", points, since(curves) / 1000,
               static_cast<double>(fs::file_size(file)) / 1e6);
  }
  askRuns(file);
  askCurves(file, ids, points);
  askIngest(home, ingest);
  if (keep.empty()) fs::remove_all(home);
  return 0;
}

#pragma once
// Small real runs for tests: the starter's tokenizer, sizes and reviews, weights drawn from the seed. Needs nothing
// outside the tree.

#include <QTemporaryDir>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/files.h"
#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/runlog/event_log.h"
#include "core/runlog/run_folder.h"

namespace rankscope::test {

inline void assign(RunConfig& config, const std::vector<std::string>& assignments) {
  for (const ValidationIssue& issue : config.assign(assignments)) qWarning("%s", issue.error.message().c_str());
}

// A user's home in a temporary folder, with the program's own resources.
class Home {
 public:
  Home() {
    setenv("RANKSCOPE_RESOURCES", RANKSCOPE_SOURCE_DIR "/resources", 1);
    places = *Places::find(std::filesystem::path(m_folder.path().toStdString()));
    (void)places.ensure();
  }
  Places places;

  // A run of a few quick steps; `assignments` on top.
  RunConfig config(const std::vector<std::string>& assignments = {}) const {
    RunConfig config;
    assign(config, {"model.path=starter:pretrain", "model.random_init=true", "data.task=instruction",
                    "data.train=starter:data/reviews_train.jsonl", "data.columns.answer=review",
                    "data.template={place} {label}", "data.max_length=48", "data.train_limit=60",
                    "data.eval_limit=12", "train.max_steps=12", "train.batch_size=4",
                    "train.threads=1", "method.name=reflora", "method.warmup_steps=3",
                    "method.dropout=0.1", "optim.learning_rate=0.005", "train.eval_every=4",
                    "train.checkpoint_every=3", "train.probe_every=4", "seed=7"});
    // Second, so that what stops applying (RefLoRA's warm-up under another method) is dropped.
    assign(config, assignments);
    return config;
  }

  RunFolder newRun(const RunConfig& config) const {
    for (const ValidationIssue& issue : validate(config)) qWarning("%s", issue.error.message().c_str());
    Result<RunFolder> folder = RunFolder::create(places, config);
    if (!folder) qFatal("%s", folder.error().message().c_str());
    return *folder;
  }
  RunFolder run(const std::vector<std::string>& assignments = {}) const { return newRun(config(assignments)); }

 private:
  QTemporaryDir m_folder;
};

template <typename Kind>
std::vector<Kind> eventsOf(const RunFolder& run) {
  std::vector<Kind> found;
  Result<std::vector<event::Event>> all = readAllEvents(run.eventsFile());
  if (!all) return found;
  for (const event::Event& item : *all)
    if (const auto* wanted = std::get_if<Kind>(&item.body)) found.push_back(*wanted);
  return found;
}

// Value of one series at every step it has; a later life's point takes the place of an earlier one's.
inline std::map<int64_t, double> series(const RunFolder& run, const std::string& name) {
  std::map<int64_t, double> points;
  for (const event::Metrics& metrics : eventsOf<event::Metrics>(run))
    for (const auto& [key, value] : metrics.values)
      if (key == name) points[metrics.at.step] = value;
  return points;
}

inline std::string bytesOf(const std::filesystem::path& file) {
  Result<std::string> bytes = readFileBounded(file, size_t{1} << 30);
  return bytes ? *bytes : std::string();
}

inline std::string adapterBytes(const RunFolder& run) {
  return bytesOf(run.adapter() / "adapter_model.safetensors");
}

}  // namespace rankscope::test

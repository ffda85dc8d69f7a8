#include <chrono>
#include <cstdlib>
#include <thread>

#include "core/config/files.h"
#include "core/config/run_config.h"
#include "core/runlog/run_folder.h"
#include "core/runlog/uuid.h"
#include "core/store/store.h"
#include "tests/support/fake_trainer/fake_trainer.h"

namespace rankscope::test {
namespace {

using nlohmann::json;

// What follows an option among a job's words.
std::string wordAfter(const json& words, const std::string& option) {
  for (size_t i = 0; i + 1 < words.size(); ++i)
    if (words[i] == option) return words[i + 1].get<std::string>();
  return {};
}

json sameOutputs() {
  return {{"rows", 8}, {"tokens", 212}, {"from_data", true}, {"largest_difference", 2.1e-6}, {"largest_logit", 15.3}, {"tolerance", 1e-4}};
}

// Files of no worth at the place that the real command would write to, and its report.
Result<json> writeOutput(const Job& job) {
  const json& words = job.spec.config["arguments"];
  const std::filesystem::path out = wordAfter(words, "--out");
  const bool file = wordAfter(words, "--as") == "gguf";
  json files = json::array();
  const std::vector<std::string> names = file ? std::vector<std::string>{out.filename().string()}
                                              : std::vector<std::string>{"config.json", "model.safetensors", "tokenizer.model"};
  for (const std::string& name : names) {
    const auto path = file ? out : out / name;
    if (auto written = writeFileAtomically(path, std::string(1000, ' ')); !written) return written.error();
    files.push_back({{"name", name}, {"bytes", 1000}});
  }
  return json{{"run", job.spec.runId}, {"step", 60}, {"kind", job.spec.kind == "merge" ? "merged model" : file ? "GGUF adapter" : "PEFT adapter"},
              {"folder", (file ? out.parent_path() : out).string()}, {"files", files}, {"bytes", 1000 * names.size()}, {"check", sameOutputs()}};
}

json evaluated(const Job& job) {
  const json& words = job.spec.config["arguments"];
  const std::string data = wordAfter(words, "--data");
  return {{"run", job.spec.runId}, {"step", 60}, {"examples", 408}, {"seconds", 1.5}, {"task", "classification"}, {"data", data},
          {"recorded", data.empty() ? "eval/" : "eval@" + std::filesystem::path(data).filename().string() + "/"},
          {"values", {{"accuracy", 0.8725}, {"loss", 0.4102}}}};
}

Result<json> importRun(const Places& places, const Job& job) {
  const json& words = job.spec.config["arguments"];
  RunConfig config;
  if (auto set = config.set("name", job.spec.name); !set) return set.error();
  RunOrigin origin;
  origin.id = newUuid();
  auto folder = RunFolder::create(places, config, origin);
  if (!folder) return folder.error();
  FakeRunOptions options;
  options.folder = folder->path();
  options.steps = 1;
  options.instant = true;
  fakeRun(options);
  return json{{"run", folder->id()}, {"folder", folder->path().string()}, {"name", job.spec.name}, {"sites", 24}, {"trainable", 24576},
              {"remarks", {"imported from " + words[0].get<std::string>()}}, {"check", sameOutputs()}};
}

}  // namespace

int fakeQueue(const Places& places, const std::string& slot, const std::string& group, int milliseconds) {
  if (group.empty()) return 0;  // runs are started by the tests themselves
  auto store = Store::open(places.store, Store::Mode::ReadWrite);
  if (!store) return 1;
  while (true) {
    const auto job = (*store)->claimNextJob(slot, "fake", group);
    if (!job || !*job) return job.ok() ? 0 : 1;
    const int64_t id = (*job)->id;
    if (std::getenv("FAKE_SPECTRUM_FAILS")) {
      (void)(*store)->finishJob(id, JobState::Failed, Error{ErrorCode::BadInput, "this run has saved no weights yet", "", "", "", "Let the run finish."});
      continue;
    }
    bool cancelled = false;
    const auto report = [&](size_t done, size_t total, const std::string& what) {
      (void)(*store)->reportJob(id, static_cast<double>(done) / static_cast<double>(total), what);
      const auto now = (*store)->job(id);
      cancelled = now.ok() && now->cancelRequested;
      return !cancelled;
    };
    if ((*job)->spec.kind == "spectrum") {
      const int code = fakeSpectrum(places.runs / (*job)->spec.runId, milliseconds, report);
      (void)(*store)->finishJob(id, cancelled ? JobState::Cancelled : code == 0 ? JobState::Done : JobState::Failed);
      continue;
    }
    for (size_t stage = 0; stage < 4 && !cancelled; ++stage) {
      report(stage, 4, stage == 0 ? "loading the run" : stage == 3 ? "comparing outputs" : "writing");
      std::this_thread::sleep_for(std::chrono::milliseconds(5 * milliseconds));
    }
    if (std::getenv("FAKE_OUTPUT_FAILS")) {
      (void)(*store)->finishJob(id, JobState::Failed,
                                Error{ErrorCode::Internal, "what was saved does not answer as the trained model does", "/out",
                                      "logits differ by 0.31, the largest is 15.3", "within 1e-04 of the largest",
                                      "Do not use the folder; please report this with the run's config.json."});
      continue;
    }
    const std::string& kind = (*job)->spec.kind;
    const Result<json> result = kind == "import" ? importRun(places, **job)
                                : kind == "eval" ? Result<json>(evaluated(**job))
                                                 : writeOutput(**job);
    (void)(*store)->finishJob(id, cancelled ? JobState::Cancelled : result ? JobState::Done : JobState::Failed,
                              result ? std::nullopt : std::optional<Error>(result.error()), result ? *result : json());
  }
}

}  // namespace rankscope::test

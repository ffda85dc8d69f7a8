#pragma once
// A run's folder, runs/<uuid>/, the truth of a run:
//   config.json (complete, frozen) · run.json (who, when, from what) · events.log · control.json · heartbeat.json
//   checkpoints/step-00000120/ · adapter/ or model/ · stderr.log

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/config/run_config.h"

namespace rankscope {

// run.json: written once, with the folder.
struct RunInfo {
  std::string id;
  double created = 0;  // unix seconds
  std::string host;
  std::string version;  // of the program
  std::string parent;   // uuid of the run it branched from, "" for none
  int64_t parentStep = 0;
};

struct RunOrigin {
  std::string parent;
  int64_t parentStep = 0;
  std::string id;  // empty: a new uuid (given by the queue, which shows a run before it starts)
};

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path folder) : m_path(std::move(folder)) {}

  // A new folder under `places.runs`: made under a temporary name and renamed, so that it is never seen half made.
  // Freezes the config: relative paths become absolute, an empty name becomes defaultRunName().
  static Result<RunFolder> create(const Places& places, const RunConfig& config, const RunOrigin& origin = {});

  const std::filesystem::path& path() const { return m_path; }
  std::string id() const { return m_path.filename().string(); }
  std::filesystem::path configFile() const { return m_path / "config.json"; }
  std::filesystem::path infoFile() const { return m_path / "run.json"; }
  std::filesystem::path eventsFile() const { return m_path / "events.log"; }
  std::filesystem::path controlFile() const { return m_path / "control.json"; }
  std::filesystem::path heartbeatFile() const { return m_path / "heartbeat.json"; }
  std::filesystem::path stderrFile() const { return m_path / "stderr.log"; }
  std::filesystem::path checkpoints() const { return m_path / "checkpoints"; }
  std::filesystem::path checkpoint(int64_t step) const;  // checkpoints/step-00000120
  std::filesystem::path adapter() const { return m_path / "adapter"; }
  std::filesystem::path model() const { return m_path / "model"; }

  Result<RunConfig> config() const;
  Result<RunInfo> info() const;

 private:
  std::filesystem::path m_path;
};

// Folders with a uuid as name and a config.json inside, in order of name. Reads no file.
Result<std::vector<RunFolder>> listRunFolders(const std::filesystem::path& runsFolder);

// RUN of the command line: a uuid, a unique beginning of one (at least 4 characters), a run's name, or a path to its
// folder. Several matches are an error that lists them.
Result<RunFolder> resolveRun(const std::filesystem::path& runsFolder, const std::string& run);

// The config as create() freezes it: it means the same from any folder (only "starter:", "models:" and absolute paths
// do), and it has a name. The queue freezes jobs with it.
RunConfig frozenConfig(RunConfig config, const Places& places);

// "reflora-r8-stories260K-tinyshakespeare-s0": for runs that were given no name.
std::string defaultRunName(const RunConfig& config);

}  // namespace rankscope

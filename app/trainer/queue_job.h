#pragma once
// What a job of the queue is in terms of this program: its command line, and what its end means. Plain functions.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/config/result.h"
#include "core/store/job_types.h"

namespace rankscope {

bool aboutRun(const Job& job);  // it makes or continues a run

// The command line of a job, without the program; an error for a kind that is not known.
Result<std::vector<std::string>> jobArguments(const Job& job, const Places& places,
                                              const std::filesystem::path& configFile);

// Why a job's process failed: what it wrote as --json, else how it ended and its last words.
Error errorOfJob(int code, int signal, const std::string& output, const std::string& errors);

// The last line {"progress":{"done":n,"total":n,"what":"…"}} in what a job has written so far; none: it has said nothing.
struct JobProgress {
  double share = -1;
  std::string what;
};
std::optional<JobProgress> progressOfJob(const std::filesystem::path& errorsFile);

}  // namespace rankscope

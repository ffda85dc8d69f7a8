#pragma once
// A job of the queue that is one command of rankscope-train: its kind is the command, its words are what follows it
// (app/trainer/queue_job.cpp makes the command line of it again). The one place where such a job is put together.

#include <string>
#include <vector>

#include "core/store/job_types.h"

namespace rankscope {

// `runId`: the run it is about, "" for none. A slot and group of its own lets it run beside training runs.
inline JobSpec commandJob(std::string kind, std::vector<std::string> arguments, std::string runId, std::string name,
                          const std::string& aside = {}) {
  JobSpec spec;
  spec.kind = std::move(kind);
  spec.config = {{"arguments", std::move(arguments)}};
  spec.runId = std::move(runId);
  spec.name = std::move(name);
  if (!aside.empty()) spec.slot = spec.group = aside;
  return spec;
}

}  // namespace rankscope

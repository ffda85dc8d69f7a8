#pragma once
// An adapter from elsewhere as a run of this program: a folder like any other, finished at step 0, whose checkpoint
// holds the adapter. It can be evaluated, continued (as a branch with data), merged, exported and looked at. One call,
// on the calling thread.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/runlog/run_folder.h"
#include "core/train/output_check.h"

namespace rankscope {

struct ImportRequest {
  std::filesystem::path adapter;         // PEFT's folder, or a file of tensors
  std::string model;                     // base model, as model.path names it; "" = as the adapter's config does
  std::optional<double> alpha;           // for a file that does not say it
  std::string name;                      // of the run; "" = the adapter's file or folder name
  std::string task;                      // data.task; "" = told from the adapter
  std::vector<std::string> labels;       // classes by index; empty = the base model's names, or LABEL_0, …
  std::vector<std::string> assignments;  // further options, "key=value"
  std::function<void(int64_t done, int64_t total, const std::string& what)> progress;
};

struct ImportedRun {
  RunFolder run;
  std::string name;
  int64_t sites = 0, trainable = 0;
  std::vector<std::string> remarks;  // also in the run's log
  OutputCheck check;                 // the run, read again, against the adapter as it was read
};

// What a PEFT config calls the base model, as this machine has it (for model.path): the path itself, a folder of that name
// among the user's models, or the newest snapshot in a Hugging Face cache. Empty: it is not here.
std::string findBaseModel(const std::string& named, const Places& places);

Result<ImportedRun> importAdapter(const ImportRequest& request, const Places& places);

}  // namespace rankscope

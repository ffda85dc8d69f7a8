#pragma once
// RUN|MODEL of the command line: a run (by id, beginning or name) or a model folder.

#include <string>
#include <vector>

#include "app/trainer/command.h"
#include "core/train/trained_model.h"

namespace rankscope {

struct SubjectArguments {
  std::string subject;
  std::string checkpoint = "last";
  std::string computeDtype;
  int threads = 0;
  std::vector<std::string> assignments;  // data.* for a plain model, and for other data than the run's

  void declare(CLI::App* sub, bool runOnly);
};

// The values of data.task.
std::vector<std::string> taskNames();

// Loads it. `data`: also the data that a run was trained with.
Result<TrainedModel> loadSubject(const CommandContext& context, const SubjectArguments& arguments, bool data);
// Only the run; a plain model is an error.
Result<RunFolder> subjectRun(const CommandContext& context, const SubjectArguments& arguments);

}  // namespace rankscope

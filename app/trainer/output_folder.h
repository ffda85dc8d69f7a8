#pragma once
// What merge and export share: the folder they write, its check against the trained model, and the report.

#include <string>

#include "app/trainer/command.h"
#include "app/trainer/subject.h"
#include "core/train/output_check.h"

namespace rankscope {

inline constexpr int64_t kOutputStages = 4;  // loading, writing, reading again, comparing: for sayProgress()

struct OutputArguments {
  SubjectArguments subject;
  std::string out;
  bool overwrite = false;

  void declare(CLI::App* sub, const char* what);
};

// Absolute; empty, new, or to be replaced.
Result<std::filesystem::path> outputFolder(const OutputArguments& arguments);
// The run in single precision, with its data where that can be read (the check then asks for real rows).
Result<TrainedModel> loadForOutput(const CommandContext& context, OutputArguments& arguments);
// How the base model is named for others: as config.json names it, else its folder.
std::string baseNameOf(const TrainedModel& trained);
Result<void> writeCard(const std::filesystem::path& folder, const std::string& card);
// What was written: `output` is the folder or the one file. `remarks`: what the user should know of it, a line each.
int reportOutput(CommandContext& context, const TrainedModel& trained, const std::filesystem::path& output,
                 const std::string& kind, const OutputCheck& check, const std::vector<std::string>& remarks = {});
nlohmann::json checkDocument(const OutputCheck& check);
std::string checkText(const OutputCheck& check);  // "checked on 8 rows of the data: logits differ by at most 2e-06 …"

}  // namespace rankscope

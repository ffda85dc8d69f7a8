#include "core/config/task_heads.h"

namespace rankscope {

std::string headForTask(const std::string& task) {
  if (task == "classification" || task == "regression") return "sequence_classification";
  if (task == "image_classification") return "image_classification";
  if (task == "masked_lm") return "masked_lm";
  if (task == "question_answering") return "token_span";
  return "causal_lm";
}

std::string unitOfTask(const std::string& task) { return task == "image_classification" ? "images" : kUsualUnit; }

std::string speedSeries(const std::string& unit) { return "train/" + unit + "_per_second"; }

}  // namespace rankscope

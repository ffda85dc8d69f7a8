#include "core/data/task.h"

namespace rankscope {

const std::vector<DataTaskEntry>& dataTaskEntries() {
  static const std::vector<DataTaskEntry> entries = {
      {DataTask::CausalLm, "causal_lm", "Language modelling",
       "Plain text, joined and cut into blocks; every token is predicted from those before it.", true, makeDocumentTask},
      {DataTask::MaskedLm, "masked_lm", "Masked words",
       "Plain text, joined and cut into blocks; hidden tokens are told from those around them.", true, makeDocumentTask},
      {DataTask::Instruction, "instruction", "Instructions",
       "A prompt and its answer; only the answer counts in the loss.", false, makeInstructionTask},
      {DataTask::MultipleChoice, "multiple_choice", "Multiple choice",
       "A question and several answers; the likeliest is chosen, the right one is learned.", false, makeMultipleChoiceTask},
      {DataTask::QuestionAnswering, "question_answering", "Question answering",
       "A question whose answer is a stretch of a given text.", false, makeQuestionAnsweringTask},
      {DataTask::Classification, "classification", "Classification", "One or two sentences and a class.", false,
       makeClassificationTask},
      {DataTask::Regression, "regression", "Regression", "One or two sentences and a number.", false, makeRegressionTask},
      {DataTask::ImageClassification, "image_classification", "Image classification", "An image and a class.", false,
       makeImageTask},
  };
  return entries;
}

const DataTaskEntry& dataTaskEntry(DataTask task) {
  for (const DataTaskEntry& entry : dataTaskEntries())
    if (entry.task == task) return entry;
  return dataTaskEntries().front();
}

}  // namespace rankscope

#pragma once
// What training did to the language model below a task's head: the run's base model with its own language head, under the
// same update. The loss of text under it, against that of the base model, is what the run forgot (the pseudo-loss of
// Shuttleworth et al. 2024). One thread.

#include <filesystem>
#include <functional>
#include <memory>

#include "core/train/trained_model.h"

namespace rankscope {

// The update is the run's as it stands: later changes of the method's tensors do not follow by themselves.
struct LanguageTwin {
  std::unique_ptr<Model> model;
  std::unique_ptr<Method> method;
};
// An error when the family has no language head or the checkpoint does not carry one (a drawn head would measure noise).
Result<LanguageTwin> languageTwin(const TrainedModel& trained);
// The trained tensors and the state of `from` once more, by name.
Result<void> copyUpdate(const Method& from, LanguageTwin& to);

// Loss of a token: of a causal model as it reads the text, of a masked one with each token hidden in turn (METRICS 14).
struct TextLoss {
  double loss = 0;
  int64_t tokens = 0;
};
// The file is plain text, a sentence a line for a masked model. `lines`: at most so many (sequences, for a causal model),
// 0 for all. progress(share); false leaves with ErrorCode::Interrupted.
Result<TextLoss> textLoss(Model& model, const Tokenizer& tokenizer, const std::filesystem::path& text, const RunConfig& config,
                          int64_t lines, const std::function<bool(double)>& progress);

}  // namespace rankscope

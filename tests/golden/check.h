#pragma once
// The checks, one for each kind of case. Each throws ErrorException (or c10::Error) on a malformed case and returns the
// reason when what the case needs is not built here.

#include <optional>
#include <string>

#include "core/models/registry.h"
#include "tests/golden/case.h"
#include "tests/golden/compare.h"

namespace rankscope::golden {

using NotBuilt = std::optional<std::string>;

NotBuilt checkModel(const Case& golden, Findings& findings);
// A model case whose input is images.
bool isImageCase(const Case& golden);
NotBuilt checkImages(const Case& golden, Findings& findings);
NotBuilt checkTraining(const Case& golden, Findings& findings);
NotBuilt checkOptimizer(const Case& golden, Findings& findings);
NotBuilt checkRefactor(const Case& golden, Findings& findings);
NotBuilt checkStart(const Case& golden, Findings& findings);
// Inserted modules.
NotBuilt checkAdapters(const Case& golden, Findings& findings);
NotBuilt checkEdits(const Case& golden, Findings& findings);
NotBuilt checkQuant(const Case& golden, Findings& findings);
NotBuilt checkAdapterFolder(const CaseEntry& entry, Findings& findings);
NotBuilt checkDecoding(const Case& golden, Findings& findings);
NotBuilt checkMaskedScores(const Case& golden, Findings& findings);
NotBuilt checkChoices(const Case& golden, Findings& findings);
// Intruder counts and similarity matrices of given changes.
NotBuilt checkSpectrum(const Case& golden, Findings& findings);
// Metrics of given outputs.
NotBuilt checkAnswers(const Case& golden, Findings& findings);
NotBuilt checkPredictions(const Case& golden, Findings& findings);
NotBuilt checkGivenChoices(const Case& golden, Findings& findings);
// Of a model case with a language model: what it generates.
void checkGeneration(const Case& golden, Model& model, Findings& findings);

// The case's model in float32 (float64 when `dtype` says so), with the head that its architecture names; the reason
// when its family or head is not built here. Throws on files that cannot be read.
struct GoldenModel {
  std::unique_ptr<Model> model;
  NotBuilt notBuilt;
};
GoldenModel openModel(const std::filesystem::path& folder, at::ScalarType dtype);

}  // namespace rankscope::golden

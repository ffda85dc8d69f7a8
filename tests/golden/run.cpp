#include "tests/golden/run.h"

#include "tests/golden/check.h"

namespace rankscope::golden {

namespace {

std::string firstLine(const std::string& message) { return message.substr(0, message.find('\n')); }

NotBuilt dispatch(const CaseEntry& entry, Findings& findings) {
  if (entry.kind == "manifest")
    malformed(entry.fields.value("problem", std::string("unreadable")), entry.name, "a manifest");
  if (entry.kind == "peft-adapter") return checkAdapterFolder(entry, findings);

  NotBuilt (*check)(const Case&, Findings&) = nullptr;
  if (entry.kind == "model-parity") check = checkModel;
  if (entry.kind == "peft-train") check = checkTraining;
  if (entry.kind == "optimizer-trajectory") check = checkOptimizer;
  if (entry.kind == "reflora-refactor") check = checkRefactor;
  if (entry.kind == "init") check = checkStart;
  if (entry.kind == "quant") check = checkQuant;
  if (entry.kind == "bottleneck-adapter") check = checkAdapters;
  if (entry.kind == "intruder") check = checkSpectrum;
  if (entry.kind == "reft") check = checkEdits;
  if (entry.kind == "metric") {
    // "nlg", "tokens", "post-processing" and "answer extraction" score generated text, which nothing here does.
    const std::string metric = text(entry.fields, "metric"), model = text(entry.fields, "model");
    if (metric == "decoding") check = checkDecoding;
    if (metric == "multiple choice") check = model.empty() ? checkGivenChoices : checkChoices;
    if (metric == "squad") check = checkAnswers;
    if (metric == "classification and regression") check = checkPredictions;
    if (metric == "pseudo-log-likelihood") check = checkMaskedScores;
    if (!check) return metric.empty() ? "a metric without a name" : metric;
  }
  if (!check) return "this kind";
  auto opened = Case::open(entry);
  if (!opened) throw ErrorException(opened.error());
  return check(*opened, findings);
}

}  // namespace

Outcome runCase(const CaseEntry& entry) {
  Findings findings;
  try {
    if (const NotBuilt reason = dispatch(entry, findings); reason)
      return {Outcome::Kind::NotBuilt, fmt::format("not built here: {}/{}  {}", entry.kind, *reason, entry.name)};
  } catch (const ErrorException& e) {
    findings.fail(e.error().message());
  } catch (const std::exception& e) {
    findings.fail(firstLine(e.what()));
  }
  if (findings.comparisons() == 0 && findings.failures().empty()) findings.fail("nothing to compare");
  if (findings.passed())
    return {Outcome::Kind::Passed,
            fmt::format("passed  {}  {}  {} comparisons", entry.name, findings.worst(), findings.comparisons())};
  std::string line = fmt::format("FAILED  {}  {}", entry.name, findings.failures().front());
  if (findings.failures().size() > 1) line += fmt::format("  (and {} more)", findings.failures().size() - 1);
  return {Outcome::Kind::Failed, line};
}

}  // namespace rankscope::golden

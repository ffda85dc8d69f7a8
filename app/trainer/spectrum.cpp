// rankscope-train spectrum RUN: what the update did to the singular vectors of each matrix, at one checkpoint or at all of
// them, and how far it goes where another run's went. Writes spectra/step-….json into the run's folder, where the workbench
// finds it.

#include <fmt/format.h>

#include <numbers>

#include "app/trainer/commands.h"
#include "app/trainer/job_progress.h"
#include "core/runlog/event_search.h"
#include "core/spectrum/method_spectrum.h"
#include "core/spectrum/principal_angles.h"
#include "core/train/checkpoint.h"
#include "core/train/trained_model.h"

namespace rankscope {
namespace {

struct Options {
  std::string run, checkpoint = "last";
  std::string against, againstCheckpoint = "last";
  int64_t k = 64;
  double eps = 0.5;
  int64_t top = 10;
  int threads = 0;
};

Result<TrainedModel> load(const CommandContext& context, const std::string& name, const std::string& checkpoint, int threads) {
  const auto run = resolveRun(context.places.runs, name);
  if (!run) return run.error();
  TrainedModelOptions options;
  options.checkpoint = checkpoint;
  options.threads = threads;
  auto trained = loadRunModel(*run, context.places, options);
  // A run whose checkpoints are gone: its adapter is of its last step.
  if (trained && trained->step == 0 && checkpoint == "last")
    if (const std::optional<event::End> end = lastEnd(run->eventsFile())) trained->step = end->step;
  return trained;
}

Result<std::vector<std::string>> checkpointsOf(const RunFolder& run, const std::string& which) {
  if (which != "all") return std::vector<std::string>{which};
  std::vector<std::string> steps;
  for (const CheckpointInfo& info : listCheckpoints(run.path())) steps.insert(steps.begin(), std::to_string(info.step));
  if (!steps.empty()) return steps;
  return Error{ErrorCode::Usage, "the run has no checkpoints", "--checkpoint", which, "a run that has saved some",
               "Use --checkpoint last, or train with a larger train.keep_checkpoints."};
}

nlohmann::json siteDocument(const SiteSpectrum& site, const Options& options) {
  nlohmann::json document{{"site", site.site},
                          {"layer", site.layer},
                          {"intruders", site.intruders(options.eps, options.top)},
                          {"effective_rank", site.effectiveRank},
                          {"effective_rank_before", site.effectiveRankBefore},
                          {"stable_rank", site.stableRank},
                          {"spectral_norm", site.deltaSigma.empty() ? 0.0f : site.deltaSigma.front()},
                          {"relative_update", site.relativeUpdate},
                          {"balance_gap", site.balanceGap},
                          {"residual_bound", site.residualBound},
                          {"algorithm", site.algorithm}};
  if (site.effectiveRankAfter > 0) document["effective_rank_after"] = site.effectiveRankAfter;
  // Of the update, between W0's leading vectors.
  if (!site.insideShare.empty())
    document["inside_share"] = site.insideShare[std::min<size_t>(site.insideShare.size(), static_cast<size_t>(options.top)) - 1];
  return document;
}

nlohmann::json spectrumDocument(const RunFolder& run, const RunSpectrum& spectrum, const Options& options) {
  nlohmann::json document{{"run", run.id()},
                          {"step", spectrum.step},
                          {"seconds", spectrum.seconds},
                          {"eps", options.eps},
                          {"k", options.top},
                          {"intruders", spectrum.intruders(options.eps, options.top)},
                          {"file", spectrumFile(run.path(), spectrum.step).string()},
                          {"sites", nlohmann::json::array()}};
  for (const SiteSpectrum& site : spectrum.sites) document["sites"].push_back(siteDocument(site, options));
  return document;
}

std::string spectrumText(const RunSpectrum& spectrum, const Options& options) {
  TextTable table;
  table.header = {"matrix", "shape", "intruders", "effective rank", "‖ΔW‖/‖W0‖", "balance gap", "σ1 before", "σ1 after"};
  table.rightAligned = {2, 3, 4, 5, 6, 7};
  for (const SiteSpectrum& site : spectrum.sites)
    table.rows.push_back({site.site, fmt::format("{}×{}", site.outFeatures, site.inFeatures),
                          fmt::format("{}", site.intruders(options.eps, options.top)), formatNumber(site.effectiveRank),
                          formatNumber(site.relativeUpdate), formatNumber(site.balanceGap),
                          formatNumber(site.sigmaBefore.front()), formatNumber(site.sigmaAfter.front())});
  return table.toText() + fmt::format("step {}: {} intruder dimensions among the first {} vectors of {} matrices (largest "
                                      "|cos| below {}); {}\n",
                                      spectrum.step, spectrum.intruders(options.eps, options.top), options.top,
                                      spectrum.sites.size(), options.eps, formatSeconds(spectrum.seconds));
}

int spectrum(const CommandContext& context, const Options& options) {
  const auto run = resolveRun(context.places.runs, options.run);
  if (!run) return context.fail(run.error());
  const auto checkpoints = checkpointsOf(*run, options.checkpoint);
  if (!checkpoints) return context.fail(checkpoints.error());
  nlohmann::json documents = nlohmann::json::array();
  std::string text;
  for (size_t i = 0; i < checkpoints->size(); ++i) {
    auto trained = load(context, options.run, (*checkpoints)[i], options.threads);
    if (!trained) return context.fail(trained.error());
    const SpectrumSettings settings{.k = options.k, .heatmapColumns = options.k};
    auto result = methodSpectrum(*trained->setup.method, context.places.cache, settings,
                                 [&](int64_t done, int64_t total, const std::string& site) {
                                   const auto before = static_cast<int64_t>(i) * total;
                                   sayProgress(context, before + done, total * static_cast<int64_t>(checkpoints->size()), site);
                                   return true;
                                 });
    if (!result) return context.fail(result.error());
    result->step = trained->step;
    if (auto written = writeSpectrum(run->path(), *result); !written) return context.fail(written.error());
    documents.push_back(spectrumDocument(*run, *result, options));
    text += spectrumText(*result, options);
  }
  context.print(documents.size() == 1 ? documents[0] : nlohmann::json{{"run", run->id()}, {"steps", documents}}, text);
  return 0;
}

// Principal angles between the updates of two runs, or of two checkpoints of one.
int compare(const CommandContext& context, const Options& options) {
  auto first = load(context, options.run, options.checkpoint, options.threads);
  if (!first) return context.fail(first.error());
  auto second = load(context, options.against, options.againstCheckpoint, options.threads);
  if (!second) return context.fail(second.error());
  const at::NoGradGuard noGrad;
  std::map<std::string, ChangedSite> others;
  for (const ChangedSite& changed : changedSitesOf(*second->setup.method)) others.emplace(changed.site->name, changed);
  nlohmann::json sites = nlohmann::json::array();
  TextTable table;
  table.header = {"matrix", "dimensions", "overlap left", "right", "smallest angle left", "right", "largest angle left", "right"};
  table.rightAligned = {1, 2, 3, 4, 5, 6, 7};
  const auto degrees = [](double radians) { return fmt::format("{:.2f}°", radians * 180 / std::numbers::pi); };
  for (const ChangedSite& changed : changedSitesOf(*first->setup.method)) {
    const auto other = others.find(changed.site->name);
    if (other == others.end()) continue;
    // As many directions of each as the update of lower rank has; of two full ones the leading ones that count.
    const MatrixChange mine = matrixChange(changed, matrixBefore(changed)), theirs = matrixChange(other->second, matrixBefore(other->second));
    int64_t most = options.top;
    if (mine.lowRank() && theirs.lowRank()) most = std::min(mine.A.size(0), theirs.A.size(0));
    else if (mine.lowRank() || theirs.lowRank()) most = (mine.lowRank() ? mine : theirs).A.size(0);
    const UpdateBasis a = updateBasis(mine, most), b = updateBasis(theirs, most);
    if (a.left.size(0) != b.left.size(0) || a.right.size(0) != b.right.size(0))
      return context.fail(Error{ErrorCode::BadInput, "the two runs' matrices are not of one shape", changed.site->name,
                                fmt::format("{} × {}", b.left.size(0), b.right.size(0)),
                                fmt::format("{} × {}", a.left.size(0), a.right.size(0)), "Compare runs of the same model."});
    const std::vector<double> left = principalAngles(a.left, b.left), right = principalAngles(a.right, b.right);
    sites.push_back({{"site", changed.site->name}, {"dimensions", {a.left.size(1), b.left.size(1)}}, {"left", left},
                     {"right", right}, {"overlap_left", overlap(left)}, {"overlap_right", overlap(right)}});
    const auto dimensions = fmt::format("{}, {}", a.left.size(1), b.left.size(1));
    if (left.empty())
      table.rows.push_back({changed.site->name, dimensions, "", "", "", "", "", ""});
    else
      table.rows.push_back({changed.site->name, dimensions, formatNumber(overlap(left), 3), formatNumber(overlap(right), 3),
                            degrees(left.front()), degrees(right.front()), degrees(left.back()), degrees(right.back())});
  }
  if (sites.empty())
    return context.fail(Error{ErrorCode::Usage, "the two runs changed no matrix in common", "--against", options.against,
                              "a run of the same model, with some of the same target modules", "Choose another run."});
  context.print({{"run", options.run}, {"step", first->step}, {"against", options.against}, {"against_step", second->step},
                 {"sites", sites}},
                table);
  return 0;
}

}  // namespace

void addSpectrumCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("spectrum", "Compare the singular vectors of a run's matrices with the base model's");
  auto options = std::make_shared<Options>();
  sub->add_option("run", options->run, "Run: uuid, unique beginning of one, or name")->required();
  sub->add_option("--checkpoint", options->checkpoint, "last, best, a step, or all")->capture_default_str();
  sub->add_option("--vectors", options->k, "Leading singular vectors to compute and keep")->check(CLI::Range(1, 1024))->capture_default_str();
  sub->add_option("--eps", options->eps, "Intruder: largest |cos| below this")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  sub->add_option("--top", options->top, "Count intruders among this many leading vectors")->check(CLI::Range(1, 1024))->capture_default_str();
  CLI::Option* against = sub->add_option("--against", options->against,
                                         "Another run, or this one: principal angles between the two updates instead");
  sub->add_option("--against-checkpoint", options->againstCheckpoint, "Of the other: last, best, or a step")->needs(against);
  sub->add_option("--threads", options->threads, "Threads of the processor (default: all)");
  context.run(sub, [&context, options] {
    return options->against.empty() ? spectrum(context, *options) : compare(context, *options);
  });
}

}  // namespace rankscope

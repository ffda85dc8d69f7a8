// rankscope-train spectrum RUN: what the update did to the singular vectors of each matrix. Writes spectra/step-….json
// into the run's folder, where ingest finds it.

#include <fmt/format.h>

#include "app/trainer/commands.h"
#include "app/trainer/job_progress.h"
#include "core/runlog/event_search.h"
#include "core/runlog/run_folder.h"
#include "core/spectrum/run_spectrum.h"

namespace rankscope {
namespace {

struct Options {
  std::string run;
  int64_t k = 64;
  double eps = 0.5;
  int64_t top = 10;
};

// The update that a finished run left: an adapter, or a whole model.
Result<std::filesystem::path> updateFolder(const RunFolder& run) {
  std::error_code ignored;
  for (const auto& folder : {run.adapter(), run.model()})
    if (std::filesystem::exists(folder, ignored)) return folder;
  return Error{ErrorCode::BadInput, "this run has saved no weights yet", run.id(), "neither adapter/ nor model/",
               "a finished run", "Let the run finish (or resume it), then compute its spectrum."};
}

Result<RunSpectrum> compute(const CommandContext& context, const RunFolder& run, const Options& options) {
  const auto config = run.config();
  if (!config) return config.error();
  const auto model = context.places.resolve(config->str("model.path"));
  if (!model) return model.error();
  const auto update = updateFolder(run);
  if (!update) return update.error();
  RunSpectrumRequest request{*model, *update, context.places.cache, 0, {options.k, options.k}};
  if (const std::optional<event::End> end = lastEnd(run.eventsFile())) request.step = end->step;
  return computeRunSpectrum(request, [&](int64_t done, int64_t total, const std::string& site) {
    sayProgress(context, done, total, site);
    return true;
  });
}

int spectrum(const CommandContext& context, const Options& options) {
  const auto run = resolveRun(context.places.runs, options.run);
  if (!run) return context.fail(run.error());
  const auto result = compute(context, *run, options);
  if (!result) return context.fail(result.error());
  if (auto written = writeSpectrum(run->path(), *result); !written) return context.fail(written.error());

  nlohmann::json document{{"run", run->id()}, {"step", result->step}, {"seconds", result->seconds}, {"eps", options.eps},
                          {"k", options.top}, {"file", spectrumFile(run->path(), result->step).string()},
                          {"sites", nlohmann::json::array()}};
  TextTable table;
  table.header = {"matrix", "shape", "intruders", "effective rank", "‖ΔW‖/‖W0‖", "balance gap", "σ1 before", "σ1 after"};
  table.rightAligned = {2, 3, 4, 5, 6, 7};
  int64_t intruders = 0;
  for (const SiteSpectrum& site : result->sites) {
    const int64_t count = site.intruders(options.eps, options.top);
    intruders += count;
    table.rows.push_back({site.site, fmt::format("{}×{}", site.outFeatures, site.inFeatures), fmt::format("{}", count),
                          formatNumber(site.effectiveRank), formatNumber(site.relativeUpdate), formatNumber(site.balanceGap),
                          formatNumber(site.sigmaBefore.front()), formatNumber(site.sigmaAfter.front())});
    document["sites"].push_back({{"site", site.site}, {"intruders", count}, {"effective_rank", site.effectiveRank},
                                 {"stable_rank", site.stableRank}, {"relative_update", site.relativeUpdate},
                                 {"balance_gap", site.balanceGap}, {"residual_bound", site.residualBound},
                                 {"algorithm", site.algorithm}});
  }
  document["intruders"] = intruders;
  context.print(document, table.toText() + fmt::format("{} intruder dimensions among the first {} vectors of {} matrices "
                                                       "(largest |cos| below {}); {}\n",
                                                       intruders, options.top, result->sites.size(), options.eps,
                                                       formatSeconds(result->seconds)));
  return 0;
}

}  // namespace

void addSpectrumCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("spectrum", "Compare the singular vectors of a run's matrices with the base model's");
  auto options = std::make_shared<Options>();
  sub->add_option("run", options->run, "Run: uuid, unique beginning of one, or name")->required();
  sub->add_option("--vectors", options->k, "Leading singular vectors to compute and keep")->check(CLI::Range(1, 1024));
  sub->add_option("--eps", options->eps, "Intruder: largest |cos| below this")->check(CLI::Range(0.0, 1.0));
  sub->add_option("--top", options->top, "Count intruders among this many leading vectors")->check(CLI::Range(1, 1024));
  context.run(sub, [&context, options] { return spectrum(context, *options); });
}

}  // namespace rankscope

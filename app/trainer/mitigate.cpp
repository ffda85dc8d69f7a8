// rankscope-train mitigate RUN: what scaling the intruder dimensions of a run's update down does to its task and to what the
// base model knew, along λ; and the mitigated adapter as a folder that PEFT loads.

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <ctime>

#include "app/trainer/commands.h"
#include "app/trainer/job_progress.h"
#include "app/trainer/output_folder.h"
#include "core/runlog/event_search.h"
#include "core/runlog/mitigation_file.h"
#include "core/spectrum/mitigation.h"
#include "core/train/evaluation.h"
#include "core/train/language_twin.h"
#include "core/train/run_output.h"

namespace rankscope {
namespace {

struct Options {
  OutputArguments output;
  int64_t top = 10;
  double eps = 0.5, lambda = 0.75;
  std::vector<double> at;
  std::string text;
  int64_t lines = 200;
};

const std::vector<double> kUsualLambdas = {0, 0.25, 0.5, 0.75, 1};

// Everything that is measured at one λ.
class Measurements {
 public:
  Measurements(TrainedModel& trained, const Mitigation& mitigation) : m_trained(trained), m_mitigation(mitigation) {}

  Result<void> useText(const std::filesystem::path& text, int64_t lines) {
    Result<LanguageTwin> twin = languageTwin(m_trained);
    if (!twin) return twin.error();
    m_twin = std::move(*twin);
    m_text = text;
    m_lines = lines;
    return {};
  }

  Result<std::optional<double>> textLossNow() {
    if (!m_twin) return std::optional<double>();
    if (auto copied = copyUpdate(*m_trained.setup.method, *m_twin); !copied) return copied.error();
    const Result<TextLoss> loss = textLoss(*m_twin->model, *m_trained.setup.tokenizer, m_text, m_trained.setup.config, m_lines,
                                           [](double) { return true; });
    if (!loss) return loss.error();
    return std::optional(loss->loss);
  }

  Result<MitigationPoint> at(double lambda) {
    MitigationPoint point;
    point.lambda = lambda;
    point.lost = m_mitigation.write(lambda);
    TrainingSetup& setup = m_trained.setup;
    if (!setup.data.eval.empty()) {
      const Result<std::optional<Evaluation>> evaluated = evaluate(*setup.model, setup.data.eval, setup.task, evaluationOptions(setup));
      if (!evaluated) return evaluated.error();
      for (const auto& [name, value] : (*evaluated)->values)
        if (std::isfinite(value)) point.metrics[name] = value;
    }
    const Result<std::optional<double>> loss = textLossNow();
    if (!loss) return loss.error();
    point.textLoss = *loss;
    return point;
  }

  Result<std::optional<double>> baseTextLoss() {
    m_mitigation.writeZero();
    return textLossNow();
  }

 private:
  TrainedModel& m_trained;
  const Mitigation& m_mitigation;
  std::optional<LanguageTwin> m_twin;
  std::filesystem::path m_text;
  int64_t m_lines = 0;
};

// Points that were measured before in the same way, at other λ, stay.
void keepEarlier(const RunFolder& run, const std::vector<double>& lambdas, MitigationCurve* curve) {
  const Result<MitigationCurve> earlier = readMitigation(mitigationFile(run.path(), curve->step));
  if (!earlier || earlier->top != curve->top || earlier->eps != curve->eps || earlier->text != curve->text ||
      earlier->baseTextLoss != curve->baseTextLoss)
    return;
  for (const MitigationPoint& point : earlier->points)
    if (std::find(lambdas.begin(), lambdas.end(), point.lambda) == lambdas.end()) curve->points.push_back(point);
}

Result<MitigationCurve> measure(const CommandContext& context, TrainedModel& trained, const Mitigation& mitigation, const Options& options) {
  Measurements measurements(trained, mitigation);
  MitigationCurve curve;
  curve.step = trained.step;
  curve.top = options.top;
  curve.eps = options.eps;
  curve.intruders = mitigation.intruders();
  curve.text = options.text;
  if (!options.text.empty()) {
    const Result<std::filesystem::path> text = context.places.resolve(options.text);
    if (!text) return text.error();
    if (auto ready = measurements.useText(*text, options.lines); !ready) return ready.error();
    const Result<std::optional<double>> base = measurements.baseTextLoss();
    if (!base) return base.error();
    curve.baseTextLoss = *base;
  }
  std::vector<double> lambdas = options.at.empty() ? kUsualLambdas : options.at;
  std::sort(lambdas.begin(), lambdas.end());
  lambdas.erase(std::unique(lambdas.begin(), lambdas.end()), lambdas.end());
  keepEarlier(*trained.run, lambdas, &curve);
  for (size_t i = 0; i < lambdas.size(); ++i) {
    sayProgress(context, static_cast<int64_t>(i), static_cast<int64_t>(lambdas.size()), fmt::format("λ = {}", lambdas[i]));
    Result<MitigationPoint> point = measurements.at(lambdas[i]);
    if (!point) return point.error();
    curve.points.push_back(std::move(*point));
  }
  std::sort(curve.points.begin(), curve.points.end(), [](const MitigationPoint& a, const MitigationPoint& b) { return a.lambda < b.lambda; });
  curve.created = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  return curve;
}

TextTable tableOf(const MitigationCurve& curve) {
  TextTable table;
  table.header = {"λ"};
  std::vector<std::string> names;
  if (!curve.points.empty())
    for (const auto& [name, value] : curve.points.front().metrics) names.push_back(name);
  for (const std::string& name : names) table.header.push_back(name);
  if (curve.baseTextLoss) table.header.push_back("text loss");
  table.header.push_back("lost in truncation");
  for (size_t i = 0; i < table.header.size(); ++i) table.rightAligned.push_back(i);
  for (const MitigationPoint& point : curve.points) {
    std::vector<std::string> row{formatNumber(point.lambda, 3)};
    for (const std::string& name : names) row.push_back(point.metrics.count(name) ? formatNumber(point.metrics.at(name), 4) : "");
    if (curve.baseTextLoss) row.push_back(point.textLoss ? formatNumber(*point.textLoss, 5) : "");
    row.push_back(fmt::format("{:.2f} %", 100 * point.lost));
    table.rows.push_back(std::move(row));
  }
  return table;
}

nlohmann::json documentOf(const RunFolder& run, const MitigationCurve& curve) {
  nlohmann::json document{{"run", run.id()}, {"step", curve.step}, {"k", curve.top}, {"eps", curve.eps}, {"intruders", curve.intruders},
                          {"file", mitigationFile(run.path(), curve.step).string()}, {"points", nlohmann::json::array()}};
  if (curve.baseTextLoss) document["base_text_loss"] = *curve.baseTextLoss;
  for (const MitigationPoint& point : curve.points) {
    document["points"].push_back({{"lambda", point.lambda}, {"metrics", point.metrics}, {"lost", point.lost}});
    if (point.textLoss) document["points"].back()["text_loss"] = *point.textLoss;
  }
  return document;
}

int run(const CommandContext& context, Options& options) {
  const bool writes = !options.output.out.empty(), measures = !writes || !options.at.empty() || !options.text.empty();
  std::filesystem::path folder;
  if (writes) {
    Result<std::filesystem::path> target = outputFolder(options.output);
    if (!target) return context.fail(target.error());
    folder = *target;
  }
  Result<TrainedModel> trained = loadSubject(context, options.output.subject, measures);
  if (!trained) return context.fail(trained.error());
  if (!trained->run || !trained->setup.method)
    return context.fail(Error{ErrorCode::Usage, "this is not a run", options.output.subject.subject, "a model folder", "a run with a low-rank update",
                              "Name a run by its id, the beginning of it, or its name."});
  if (trained->step == 0)
    if (const std::optional<event::End> end = lastEnd(trained->run->eventsFile())) trained->step = end->step;
  const Result<Mitigation> mitigation =
      Mitigation::make(*trained->setup.method, context.places.cache, options.top, options.eps,
                       [&](int64_t done, int64_t total, const std::string& site) {
                         sayProgress(context, done, total, site);
                         return true;
                       });
  if (!mitigation) return context.fail(mitigation.error());
  nlohmann::json document{{"run", trained->run->id()}, {"intruders", mitigation->intruders()}};
  std::string text;
  if (measures) {
    const Result<MitigationCurve> curve = measure(context, *trained, *mitigation, options);
    if (!curve) return context.fail(curve.error());
    if (auto written = writeMitigation(trained->run->path(), *curve); !written) return context.fail(written.error());
    document = documentOf(*trained->run, *curve);
    text = tableOf(*curve).toText();
    if (curve->baseTextLoss) text += fmt::format("text loss of the base model: {}\n", formatNumber(*curve->baseTextLoss, 5));
  }
  if (writes) {
    const double lost = mitigation->write(options.lambda);
    if (auto saved = saveAdapter(folder, *trained->setup.method, *trained->setup.model, baseNameOf(*trained)); !saved)
      return context.fail(saved.error());
    document["adapter"] = {{"folder", folder.string()}, {"lambda", options.lambda}, {"lost", lost}};
    text += fmt::format("wrote the adapter at λ = {} to {}; its rank leaves out {:.2f} % of the worst matrix's update\n", options.lambda,
                        folder.string(), 100 * lost);
  }
  text += fmt::format("{} intruder dimensions among the first {} vectors of {} matrices (largest |cos| below {})\n",
                      mitigation->intruders(), options.top, mitigation->sites().size(), options.eps);
  context.print(document, text);
  return 0;
}

}  // namespace

void addMitigateCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("mitigate", "Scale a run's intruder dimensions down: task and text loss along λ, or the adapter");
  auto options = std::make_shared<Options>();
  options->output.subject.declare(sub, true);
  sub->add_option("--top", options->top, "Look for intruders among this many leading vectors")->check(CLI::Range(1, 1024))->capture_default_str();
  sub->add_option("--eps", options->eps, "Intruder: largest |cos| below this")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  sub->add_option("--at", options->at, "Values of λ to measure at (default: 0, 0.25, 0.5, 0.75, 1)")->delimiter(',')->check(CLI::Range(0.0, 2.0));
  sub->add_option("--text", options->text, "Text like that of pre-training: its loss under the language head is measured, too");
  sub->add_option("--lines", options->lines, "Lines of it, at most (0: all)")->check(CLI::NonNegativeNumber)->capture_default_str();
  sub->add_option("--lambda", options->lambda, "λ of the adapter that --out writes")->check(CLI::Range(0.0, 2.0))->capture_default_str();
  sub->add_option("--out", options->output.out, "Folder for the mitigated adapter, in PEFT's layout");
  sub->add_flag("--overwrite", options->output.overwrite, "Replace the folder");
  context.run(sub, [&context, options] { return run(context, *options); });
}

}  // namespace rankscope

#include "ui/compare/compare_data.h"

#include "core/config/option_spec.h"
#include "ui/runs/groups_model.h"
#include "ui/runs/run_columns.h"
#include "ui/shell/format.h"
#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QSet>

#include <cmath>

namespace rankscope::ui {

namespace {

QString qs(const std::string& text) { return QString::fromStdString(text); }
QString tr(const char* text) { return QCoreApplication::translate("Compare", text); }

QString methodAndRank(const RunRow& row) {
  QString text = methodTitle(qs(row.method));
  if (row.rank) text += QStringLiteral(" r%1").arg(*row.rank);
  return text;
}

const std::vector<double>& axisOf(const CurvePoints& points, XAxis axis) {
  const std::vector<double>* column = &points.step;
  if (axis == XAxis::Epoch) column = &points.epoch;
  if (axis == XAxis::Tokens) column = &points.tokens;
  if (axis == XAxis::Time) column = &points.seconds;
  return column->size() == points.y.size() ? *column : points.step;
}

}  // namespace

std::vector<ComparedRun> comparedRuns(std::vector<RunRow> rows) {
  std::vector<ComparedRun> runs;
  for (RunRow& row : rows) {
    ComparedRun run;
    run.id = qs(row.id);
    run.label = methodAndRank(row);
    run.row = std::move(row);
    runs.push_back(std::move(run));
  }
  const auto ambiguous = [&](const ComparedRun& run) {
    return std::count_if(runs.begin(), runs.end(), [&](const ComparedRun& other) { return other.label == run.label; }) > 1;
  };
  // Each addition is made only to labels that are shared, and only where it differs among those that share them.
  const std::vector<std::function<QString(const RunRow&)>> additions = {
      [](const RunRow& row) { return qs(row.dataName); }, [](const RunRow& row) { return qs(row.modelName); },
      [](const RunRow& row) { return std::isfinite(row.alpha) ? QStringLiteral("α%1").arg(formatNumber(row.alpha)) : QString(); },
      [](const RunRow& row) { return QStringLiteral("s%1").arg(row.seed); }};
  for (const auto& addition : additions) {
    std::vector<QString> next;
    for (const ComparedRun& run : runs) {
      bool helps = false;
      if (ambiguous(run))
        for (const ComparedRun& other : runs)
          helps = helps || (other.label == run.label && addition(other.row) != addition(run.row));
      next.push_back(helps ? QStringLiteral("%1 %2").arg(run.label, addition(run.row)) : run.label);
    }
    for (size_t i = 0; i < runs.size(); ++i) runs[i].label = next[i];
  }
  // Still the same: the names, if those differ, else the beginning of the id.
  std::vector<QString> last;
  for (const ComparedRun& run : runs) {
    if (!ambiguous(run)) {
      last.push_back(run.label);
      continue;
    }
    const bool sameName = std::count_if(runs.begin(), runs.end(), [&](const ComparedRun& o) { return o.row.name == run.row.name; }) > 1;
    last.push_back(sameName ? QStringLiteral("%1 %2").arg(run.label, run.id.left(4)) : qs(run.row.name));
  }
  for (size_t i = 0; i < runs.size(); ++i) runs[i].label = last[i];
  return runs;
}

QString groupingTitle(Grouping grouping) {
  switch (grouping) {
    case Grouping::None: return tr("Each run");
    case Grouping::Method: return tr("Method");
    case Grouping::MethodRank: return tr("Method × rank");
    case Grouping::MethodRankData: return tr("Method × rank × data");
    case Grouping::Name: return tr("Name");
  }
  return {};
}

QString groupOf(const RunRow& row, Grouping grouping) {
  switch (grouping) {
    case Grouping::None: return qs(row.id);
    case Grouping::Method: return methodTitle(qs(row.method));
    case Grouping::MethodRank: return methodAndRank(row);
    case Grouping::MethodRankData: return QStringLiteral("%1 %2").arg(methodAndRank(row), qs(row.dataName));
    case Grouping::Name: return qs(row.name);
  }
  return {};
}

CurvePoints curveOf(const Series& series) {
  return {series.axis(Axis::Step), series.epochs, series.axis(Axis::Tokens), series.seconds, series.values, {}, {}};
}

CurvePoints meanCurve(const std::vector<const CurvePoints*>& runs, XAxis axis, int bins) {
  CurvePoints out;
  double lower = std::numeric_limits<double>::infinity(), upper = -lower;
  size_t longest = 0;
  for (const CurvePoints* run : runs) {
    const std::vector<double>& x = axisOf(*run, axis);
    if (x.empty()) continue;
    lower = std::min(lower, x.front());
    upper = std::max(upper, x.back());
    longest = std::max(longest, x.size());
  }
  if (!(upper >= lower)) return out;
  const auto count = static_cast<size_t>(std::clamp<int>(bins, 1, std::max(1, static_cast<int>(longest))));
  const double width = upper > lower ? (upper - lower) / static_cast<double>(count) : 1;
  std::vector<double> sum(count), squares(count);
  std::vector<int> n(count);
  std::vector<double> own(count);
  std::vector<int> points(count);
  for (const CurvePoints* run : runs) {
    std::fill(own.begin(), own.end(), 0);
    std::fill(points.begin(), points.end(), 0);
    const std::vector<double>& x = axisOf(*run, axis);
    for (size_t i = 0; i < x.size(); ++i) {
      if (!std::isfinite(run->y[i]) || !std::isfinite(x[i])) continue;
      const auto bin = std::min(count - 1, static_cast<size_t>(std::max(0.0, (x[i] - lower) / width)));
      own[bin] += run->y[i];
      ++points[bin];
    }
    for (size_t b = 0; b < count; ++b) {
      if (points[b] == 0) continue;
      const double mean = own[b] / points[b];
      sum[b] += mean;
      squares[b] += mean * mean;
      ++n[b];
    }
  }
  for (size_t b = 0; b < count; ++b) {
    if (n[b] == 0) continue;
    const double mean = sum[b] / n[b];
    const double variance = n[b] > 1 ? std::max(0.0, (squares[b] - sum[b] * mean) / (n[b] - 1)) : 0;
    out.step.push_back(lower + (static_cast<double>(b) + (count == 1 ? 0 : 0.5)) * width);
    out.y.push_back(mean);
    out.lower.push_back(mean - std::sqrt(variance));
    out.upper.push_back(mean + std::sqrt(variance));
  }
  out.epoch = out.tokens = out.seconds = out.step;
  return out;
}

Score scoreOf(const RunRow& row, const QString& choice) {
  if (choice == QLatin1String("best")) return {qs(row.bestMetric), row.bestValue};
  const bool last = choice.endsWith(QLatin1String(".last"));
  const QString metric = last ? choice.chopped(5) : choice;
  const auto it = row.metrics.find(metric.toStdString());
  if (it == row.metrics.end()) return {metric, kUnknown};
  return {metric, last ? it->second.last : it->second.best};
}

std::vector<RankLine> rankLines(const std::vector<ComparedRun>& runs, const QString& choice) {
  std::vector<RankLine> lines;
  std::map<QString, std::map<double, std::vector<double>>> byMethod;
  QStringList order;
  for (const ComparedRun& run : runs) {
    if (!run.visible) continue;
    const double value = scoreOf(run.row, choice).value;
    if (!std::isfinite(value)) continue;
    const QString method = qs(run.row.method);
    if (!order.contains(method)) order << method;
    byMethod[method][run.row.rank ? static_cast<double>(*run.row.rank) : 0].push_back(value);
  }
  for (const QString& method : order) {
    RankLine line;
    line.method = method;
    line.withoutRank = byMethod[method].size() == 1 && byMethod[method].begin()->first == 0;
    for (const auto& [rank, values] : byMethod[method]) {
      const GroupStatistic statistic = groupStatistic(values);
      line.rank.push_back(rank);
      line.mean.push_back(statistic.mean);
      line.sd.push_back(std::isfinite(statistic.sd) ? statistic.sd : 0);
      line.n.push_back(static_cast<int>(statistic.n));
      for (const double value : values) line.points.emplace_back(rank, value);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

QString optionTitle(const QString& key) {
  const OptionSpec* option = findOption(key.toStdString());
  return option ? QCoreApplication::translate("options", option->title.c_str()) : key;
}

bool realDifference(const RunDifference& difference) {
  QSet<QString> values;
  for (const std::string& value : difference.values)
    if (!value.empty()) values.insert(qs(value));
  return values.size() > 1;
}

QString differenceSentence(const std::vector<ComparedRun>& runs, const std::vector<RunDifference>& all) {
  std::vector<RunDifference> differences;
  std::copy_if(all.begin(), all.end(), std::back_inserter(differences), realDifference);
  // The method says most; the rest keeps its order.
  std::stable_partition(differences.begin(), differences.end(), [](const RunDifference& d) { return d.key == "method.name"; });
  const bool others = differences.size() < all.size();
  if (runs.size() < 2) return tr("Select at least two runs to see in what they differ.");
  QString who;
  if (runs.size() == 2)
    who = tr("%1 and %2").arg(runs[0].label, runs[1].label);
  else
    who = tr("These %1 runs").arg(runs.size());
  if (all.empty()) return tr("%1 have the same configuration in every option.").arg(who);
  const QString rest = others ? tr("options that only some of them have") : QString();
  if (differences.empty()) return tr("%1 differ only in %2.").arg(who, rest);
  constexpr size_t kMostNamed = 5;
  QStringList parts;
  for (size_t i = 0; i < differences.size() && i < kMostNamed; ++i) {
    const RunDifference& difference = differences[i];
    QStringList values;
    for (const std::string& value : difference.values) {
      const QString text = qs(value);
      if (!text.isEmpty() && !values.contains(text)) values << text;
    }
    const QString title = optionTitle(qs(difference.key)).toLower();
    parts << (values.size() <= 4 ? QStringLiteral("%1 (%2)").arg(title, values.join(QStringLiteral(", ")))
                                 : tr("%1 (%2 values)").arg(title).arg(values.size()));
  }
  QString list = parts.join(QStringLiteral(", "));
  if (differences.size() > kMostNamed)
    list += tr(" and %1 more").arg(differences.size() - kMostNamed);
  else if (parts.size() > 1)
    list = QStringList(parts.mid(0, parts.size() - 1)).join(QStringLiteral(", ")) + tr(" and ") + parts.last();
  return others ? tr("%1 differ in %2, and in %3; everything else is the same.").arg(who, list, rest)
                : tr("%1 differ in %2; everything else is the same.").arg(who, list);
}

}  // namespace rankscope::ui

#include "ui/runs/run_columns.h"

#include "core/config/task_heads.h"
#include "ui/shell/format.h"
#include "ui/shell/work_unit.h"
#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QHash>

#include <cmath>

namespace rankscope::ui {

namespace {

QString tr(const char* text) { return QCoreApplication::translate("RunColumns", text); }
QString qs(const std::string& text) { return QString::fromStdString(text); }
const QString kMetric = QStringLiteral("metric:");

const MetricSummary* metricOf(const RunRow& row, const QString& id) {
  const auto it = row.metrics.find(id.mid(kMetric.size()).toStdString());
  return it == row.metrics.end() ? nullptr : &it->second;
}

QString firstLine(const std::string& text) {
  QString line = qs(text).section(QLatin1Char('\n'), 0, 0).trimmed();
  while (line.startsWith(QLatin1Char('#'))) line.remove(0, 1);
  return line.trimmed();
}

QString tagText(const RunRow& row) {
  QStringList tags;
  for (const std::string& tag : row.tags) tags << qs(tag);
  return tags.join(QStringLiteral(", "));
}

}  // namespace

const std::vector<RunColumn>& fixedRunColumns() {
  static const std::vector<RunColumn> columns = {
      {QStringLiteral("star"), QString(), tr("Starred"), QStringLiteral("starred"), 30, false, true},
      {QStringLiteral("status"), tr("Status"), tr("What the run is doing, and its colour in plots"), QStringLiteral("status"), 124, false, true, 96},
      {QStringLiteral("name"), tr("Name"), QString(), QStringLiteral("name"), 300, false, true, 120},
      {QStringLiteral("method"), tr("Method"), QString(), QStringLiteral("method"), 110, false, true},
      {QStringLiteral("rank"), tr("Rank"), tr("Rank of the update; none for full fine-tuning"), QStringLiteral("rank"), 80, true, true},
      {QStringLiteral("model"), tr("Model"), QString(), QStringLiteral("model"), 170, false, true, 60},
      {QStringLiteral("data"), tr("Data"), QString(), QStringLiteral("data"), 170, false, true, 60},
      {QStringLiteral("best"), tr("Best"), tr("Best value of the metric that decides which checkpoint is kept: the evaluation loss, where none is named"), QStringLiteral("best"), 170, true, true},
      {QStringLiteral("eval_loss"), tr("Eval loss"), tr("Last evaluation loss"), QStringLiteral("eval_loss"), 140, true, true},
      {QStringLiteral("train_loss"), tr("Train loss"), tr("Last training loss"), QStringLiteral("train_loss"), 140, true, false},
      {QStringLiteral("loss_curve"), tr("Loss curve"), tr("Training loss over the run, on a logarithmic scale where it falls to a third or less"), QString(), 92, false, true},
      {QStringLiteral("time"), tr("Time"), tr("Training time"), QStringLiteral("time"), 150, true, true},
      {QStringLiteral("memory"), tr("Memory"), tr("Peak memory"), QStringLiteral("memory"), 150, true, true},
      {QStringLiteral("tags"), tr("Tags"), QString(), QStringLiteral("tag"), 220, false, true, 52},
      {QStringLiteral("seed"), tr("Seed"), QString(), QStringLiteral("seed"), 90, true, false},
      {QStringLiteral("created"), tr("Created"), QString(), QStringLiteral("created"), 150, true, false},
      {QStringLiteral("progress"), tr("Progress"), tr("Steps done of all steps"), QStringLiteral("step"), 140, true, false},
      {QStringLiteral("alpha"), tr("Alpha"), QString(), QStringLiteral("alpha"), 80, true, false},
      {QStringLiteral("task"), tr("Task"), QString(), QStringLiteral("task"), 130, false, false, 60},
      {QStringLiteral("tokens"), tr("Trained on"), tr("Tokens or images trained on"), QStringLiteral("tokens"), 100, true, false},
      {QStringLiteral("trainable"), tr("Trainable"), tr("Trainable parameters and their share"), QStringLiteral("trainable"), 150, true, false},
      {QStringLiteral("parameters"), tr("Parameters"), QString(), QStringLiteral("parameters"), 110, true, false},
      {QStringLiteral("finished"), tr("Finished"), QString(), QStringLiteral("finished"), 150, true, false},
      {QStringLiteral("device"), tr("Device"), QString(), QStringLiteral("device"), 90, false, false},
      {QStringLiteral("dtype"), tr("Precision"), QString(), QStringLiteral("dtype"), 90, false, false},
      {QStringLiteral("host"), tr("Host"), QString(), QStringLiteral("host"), 140, false, false, 50},
      {QStringLiteral("note"), tr("Note"), QString(), QStringLiteral("note"), 300, false, false, 80},
      {QStringLiteral("id"), tr("Id"), QString(), QStringLiteral("id"), 100, false, false},
  };
  return columns;
}

RunColumn metricColumn(const QString& metric) {
  return {kMetric + metric, shortMetric(metric), tr("Last value of %1").arg(metric), metric, 160, true, false};
}

RunColumn runColumnById(const QString& id) {
  if (id.startsWith(kMetric)) return metricColumn(id.mid(kMetric.size()));
  for (const RunColumn& column : fixedRunColumns())
    if (column.id == id) return column;
  return {};
}

QString shortMetric(const QString& metric) {
  if (metric.startsWith(QLatin1String("eval/")) && metric != QLatin1String("eval/loss")) return metric.mid(5);
  QString text = metric;
  return text.replace(QLatin1Char('/'), QLatin1Char(' '));
}

double runColumnValue(const RunRow& row, const QString& id) {
  if (id.startsWith(kMetric)) {
    const MetricSummary* metric = metricOf(row, id);
    return metric ? metric->last : kUnknown;
  }
  if (id == QLatin1String("best")) return row.bestValue;
  if (id == QLatin1String("eval_loss")) return row.lastEvalLoss;
  if (id == QLatin1String("train_loss")) return row.lastTrainLoss;
  if (id == QLatin1String("time")) return row.seconds;
  if (id == QLatin1String("memory")) return row.peakMemory > 0 ? static_cast<double>(row.peakMemory) : kUnknown;
  if (id == QLatin1String("rank")) return row.rank ? static_cast<double>(*row.rank) : kUnknown;
  if (id == QLatin1String("alpha")) return row.alpha;
  if (id == QLatin1String("seed")) return static_cast<double>(row.seed);
  if (id == QLatin1String("tokens")) return static_cast<double>(row.tokens);
  if (id == QLatin1String("trainable")) return row.trainable > 0 ? static_cast<double>(row.trainable) : kUnknown;
  if (id == QLatin1String("parameters")) return row.parameters > 0 ? static_cast<double>(row.parameters) : kUnknown;
  if (id == QLatin1String("created")) return row.createdAt;
  if (id == QLatin1String("finished")) return row.finishedAt;
  if (id == QLatin1String("progress")) return static_cast<double>(row.step);
  return kUnknown;
}

QString runColumnText(const RunRow& row, const QString& id) {
  if (id.startsWith(kMetric)) return formatNumber(runColumnValue(row, id));
  if (id == QLatin1String("star")) return row.starred ? tr("starred") : QString();
  if (id == QLatin1String("status")) return stateTitle(qs(row.status));
  if (id == QLatin1String("name")) return qs(row.name);
  if (id == QLatin1String("method")) return methodTitle(qs(row.method));
  if (id == QLatin1String("rank")) return row.rank ? QString::number(*row.rank) : QString::fromUtf8(kDash);
  if (id == QLatin1String("alpha")) return row.rank ? formatNumber(row.alpha) : QString::fromUtf8(kDash);
  if (id == QLatin1String("model")) return qs(row.modelName);
  if (id == QLatin1String("data")) return qs(row.dataName);
  if (id == QLatin1String("task")) return qs(row.task);
  if (id == QLatin1String("seed")) return QString::number(row.seed);
  if (id == QLatin1String("best")) {
    const QString value = formatNumber(row.bestValue);  // a dash where there is none
    const bool usual = row.bestMetric.empty() || row.bestMetric == "eval/loss" || !std::isfinite(row.bestValue);
    return usual ? value : QStringLiteral("%1 %2").arg(shortMetric(qs(row.bestMetric)), value);
  }
  if (id == QLatin1String("eval_loss") || id == QLatin1String("train_loss")) return formatNumber(runColumnValue(row, id));
  if (id == QLatin1String("time")) return formatDuration(row.seconds);
  if (id == QLatin1String("memory")) return row.peakMemory > 0 ? formatBytes(static_cast<double>(row.peakMemory)) : QString::fromUtf8(kDash);
  if (id == QLatin1String("tags")) return tagText(row);
  if (id == QLatin1String("created")) return formatWhen(row.createdAt);
  if (id == QLatin1String("finished")) return formatWhen(row.finishedAt);
  if (id == QLatin1String("progress"))
    return row.totalSteps > 0 ? QStringLiteral("%1 / %2").arg(formatCompact(static_cast<double>(row.step)), formatCompact(static_cast<double>(row.totalSteps)))
                              : formatCompact(static_cast<double>(row.step));
  if (id == QLatin1String("tokens")) return unitsText(unitOfTask(row.task), static_cast<double>(row.tokens));
  if (id == QLatin1String("trainable")) {
    if (row.trainable <= 0) return QString::fromUtf8(kDash);
    const QString count = formatCompact(static_cast<double>(row.trainable));
    return row.parameters > 0
               ? QStringLiteral("%1 (%2)").arg(count, formatShare(static_cast<double>(row.trainable) / static_cast<double>(row.parameters)))
               : count;
  }
  if (id == QLatin1String("parameters")) return row.parameters > 0 ? formatCompact(static_cast<double>(row.parameters)) : QString::fromUtf8(kDash);
  if (id == QLatin1String("device")) return qs(row.device);
  if (id == QLatin1String("dtype")) return qs(row.computeDtype);
  if (id == QLatin1String("host")) return qs(row.host);
  if (id == QLatin1String("note")) return firstLine(row.note);
  if (id == QLatin1String("id")) return qs(row.id).left(8);
  return {};
}

QString runColumnPlain(const RunRow& row, const QString& id) {
  const double value = runColumnValue(row, id);
  if (id == QLatin1String("created") || id == QLatin1String("finished")) return std::isfinite(value) ? QString::number(value, 'f', 0) : QString();
  if (std::isfinite(value)) return plainNumber(value, 10);
  if (id == QLatin1String("id")) return qs(row.id);
  if (id == QLatin1String("method")) return qs(row.method);
  if (id == QLatin1String("status")) return qs(row.status);
  if (id == QLatin1String("star")) return row.starred ? QStringLiteral("1") : QStringLiteral("0");
  const QString text = runColumnText(row, id);
  return text == QString::fromUtf8(kDash) ? QString() : text;
}

QString runToolTip(const RunRow& row, const QString& id) {
  if (id == QLatin1String("status")) {
    QString text = stateTitle(qs(row.status));
    if (!row.statusDetail.empty()) text += QStringLiteral(": ") + qs(row.statusDetail);
    return text;
  }
  if (id == QLatin1String("best") && std::isfinite(row.bestValue))
    return tr("%1 = %2 at step %3").arg(qs(row.bestMetric), formatNumber(row.bestValue, 8), formatInteger(row.bestStep));
  if (id == QLatin1String("created")) return formatWhenLong(row.createdAt);
  if (id == QLatin1String("finished")) return formatWhenLong(row.finishedAt);
  if (id == QLatin1String("note")) return qs(row.note).left(2000);
  if (id == QLatin1String("id")) return qs(row.id);
  if (id == QLatin1String("tokens")) return formatInteger(row.tokens);
  if (id.startsWith(kMetric)) {
    if (const MetricSummary* metric = metricOf(row, id))
      return tr("last %1 at step %2\nbest %3 at step %4\nsmallest %5, largest %6")
          .arg(formatNumber(metric->last, 8), formatInteger(metric->lastStep), formatNumber(metric->best, 8),
               formatInteger(metric->bestStep), formatNumber(metric->min, 8), formatNumber(metric->max, 8));
  }
  if (id == QLatin1String("name") || id == QLatin1String("model") || id == QLatin1String("data")) return runColumnText(row, id);
  return {};
}

}  // namespace rankscope::ui

// The table as papers print it: rows × columns of mean ± standard deviation over seeds (compare_data.h).
#include "ui/compare/compare_data.h"
#include "ui/runs/groups_model.h"
#include "ui/runs/run_columns.h"
#include "ui/shell/format.h"
#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QSet>

#include <cmath>

namespace rankscope::ui {

namespace {

QString tr(const char* text) { return QCoreApplication::translate("Compare", text); }

QString keyText(const RunRow& row, const QString& key) { return runColumnText(row, key); }

struct Cell {
  std::vector<double> values;
  GroupStatistic statistic;
};

QString number(double mean, double sd, int n, int decimals) {
  if (!std::isfinite(mean)) return QString::fromUtf8(kDash);
  const QString text = QString::number(mean, 'f', decimals);
  return n > 1 && std::isfinite(sd) ? QStringLiteral("%1 ± %2").arg(text, QString::number(sd, 'f', decimals)) : text;
}

}  // namespace

PaperTable paperTable(const std::vector<ComparedRun>& runs, const PaperOptions& options) {
  PaperTable table;
  std::vector<QStringList> rowKeys;
  QStringList columnKeys;
  std::map<QString, QString> columnMetric;  // of its first run: the column's own
  std::map<std::pair<size_t, qsizetype>, Cell> cells;
  std::vector<std::vector<double>> shares;
  const double factor = options.percent ? 100 : 1;
  QSet<QString> metrics;
  for (const ComparedRun& run : runs) {
    if (!run.visible) continue;
    const Score score = scoreOf(run.row, options.score);
    if (!std::isfinite(score.value)) continue;
    QStringList key;
    for (const QString& part : options.rowKeys) key << keyText(run.row, part);
    const QString column = keyText(run.row, options.columnKey);
    auto at = std::find(rowKeys.begin(), rowKeys.end(), key);
    if (at == rowKeys.end()) {
      rowKeys.push_back(key);
      shares.emplace_back();
      at = rowKeys.end() - 1;
    }
    const auto row = static_cast<size_t>(at - rowKeys.begin());
    if (!columnKeys.contains(column)) columnKeys << column;
    if (!columnMetric.contains(column)) columnMetric[column] = score.metric;
    if (columnMetric[column] != score.metric) continue;  // figures of another kind do not mix
    metrics.insert(score.metric);
    cells[{row, columnKeys.indexOf(column)}].values.push_back(score.value * factor);
    if (run.row.parameters > 0) shares[row].push_back(static_cast<double>(run.row.trainable) / static_cast<double>(run.row.parameters));
  }
  if (rowKeys.empty()) return table;

  double spread = 0, scale = 0;
  for (auto& [place, cell] : cells) {
    cell.statistic = groupStatistic(cell.values);
    if (std::isfinite(cell.statistic.sd)) spread = std::max(spread, cell.statistic.sd);
    scale = std::max(scale, std::abs(cell.statistic.mean));
  }
  const int decimals = options.decimals >= 0 ? options.decimals : std::min(4, meaningfulDecimals(scale, spread));
  const bool oneMetric = metrics.size() == 1;
  const bool average = columnKeys.size() > 1 && oneMetric;

  for (const QString& key : options.rowKeys) table.text.columns.push_back({groupKeyTitle(key), false});
  table.text.columns.push_back({tr("Trainable"), true});
  for (const QString& column : columnKeys)
    table.text.columns.push_back({oneMetric ? column : QStringLiteral("%1 (%2)").arg(column, shortMetric(columnMetric[column])), true});
  if (average) table.text.columns.push_back({tr("Average"), true});

  // The best mean of each column, and of the averages.
  const auto columnsTotal = static_cast<size_t>(columnKeys.size()) + (average ? 1 : 0);
  std::vector<std::vector<double>> means(rowKeys.size(), std::vector<double>(columnsTotal, kUnknown));
  for (const auto& [place, cell] : cells) means[place.first][static_cast<size_t>(place.second)] = cell.statistic.mean;
  if (average) {
    for (auto& row : means) {
      double sum = 0;
      bool all = true;
      for (size_t c = 0; c + 1 < row.size(); ++c) {
        all = all && std::isfinite(row[c]);
        sum += row[c];
      }
      if (all) row.back() = sum / static_cast<double>(row.size() - 1);
    }
  }
  std::vector<double> best(columnsTotal, kUnknown);
  for (size_t c = 0; c < columnsTotal; ++c) {
    const QString metric = c < static_cast<size_t>(columnKeys.size()) ? columnMetric[columnKeys[static_cast<qsizetype>(c)]] : *metrics.begin();
    const Better direction = betterDirection(metric.toStdString());
    if (direction == Better::Neither) continue;
    for (const auto& row : means)
      if (std::isfinite(row[c]) && (!std::isfinite(best[c]) || (direction == Better::Lower ? row[c] < best[c] : row[c] > best[c])))
        best[c] = row[c];
  }
  for (size_t r = 0; r < rowKeys.size(); ++r) {
    std::vector<TextCell> line;
    std::vector<int> counts;
    for (const QString& part : rowKeys[r]) line.emplace_back(part);
    const GroupStatistic share = groupStatistic(shares[r]);
    line.emplace_back(std::isfinite(share.mean) ? QStringLiteral("%1 %").arg(QString::number(share.mean * 100, 'g', 3)) : QString::fromUtf8(kDash));
    counts.assign(line.size(), 0);
    for (size_t c = 0; c < columnsTotal; ++c) {
      const auto it = cells.find({r, static_cast<qsizetype>(c)});
      const bool isAverage = c >= static_cast<size_t>(columnKeys.size());
      const int n = it == cells.end() || isAverage ? 0 : static_cast<int>(it->second.statistic.n);
      const double sd = it == cells.end() || isAverage ? kUnknown : it->second.statistic.sd;
      const bool bold = rowKeys.size() > 1 && std::isfinite(means[r][c]) && means[r][c] == best[c];
      line.emplace_back(number(means[r][c], sd, n, decimals), bold);
      counts.push_back(n);
    }
    table.text.rows.push_back(std::move(line));
    table.counts.push_back(std::move(counts));
  }
  const QString what = oneMetric ? shortMetric(*metrics.begin()) : tr("each column's own metric");
  table.note = tr("Mean ± standard deviation over the chosen runs of each row and column; %1%2, %3 value.")
                   .arg(what, options.percent ? QStringLiteral(" × 100") : QString(),
                        options.score.endsWith(QLatin1String(".last")) ? tr("last") : tr("best"));
  table.text.caption = table.note;
  return table;
}

}  // namespace rankscope::ui

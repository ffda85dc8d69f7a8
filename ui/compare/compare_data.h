#pragma once
// The runs being compared, as all tabs of Compare see them: their rows, labels that tell them apart, groups, and figures over
// groups. Plain values and functions; computing over many points may run on any thread.

#include "core/store/run_types.h"
#include "core/store/series_types.h"
#include "ui/plots/plot.h"
#include "ui/shell/table_text.h"

#include <QString>
#include <QStringList>

namespace rankscope::ui {

struct ComparedRun {
  RunRow row;
  QString id;
  QString label;  // short, distinct among the compared ones
  bool visible = true;
};

// "RefLoRA r8", with seed, data, model or a number added only as far as needed to tell the runs apart.
std::vector<ComparedRun> comparedRuns(std::vector<RunRow> rows);

enum class Grouping { None, Method, MethodRank, MethodRankData, Name };
QString groupingTitle(Grouping grouping);
QString groupOf(const RunRow& row, Grouping grouping);  // what is shown as the group's name

CurvePoints curveOf(const Series& series);
// Mean and one standard deviation over runs, in bins of x that hold every point: each run first gives its mean in a bin, so
// that a run logged more densely does not weigh more. x is put into `step`.
CurvePoints meanCurve(const std::vector<const CurvePoints*>& runs, XAxis axis, int bins = 600);

// What a run scored: by "best" (its own metric), or a metric's best or last value ("eval/accuracy", "eval/accuracy.last").
struct Score {
  QString metric;
  double value = kUnknown;
};
Score scoreOf(const RunRow& row, const QString& choice);

// Metric against rank: one line per method, mean with its spread over runs of the same rank; methods without a rank have
// one value.
struct RankLine {
  QString method;
  std::vector<double> rank, mean, sd;
  std::vector<int> n;
  std::vector<std::pair<double, double>> points;  // single runs
  bool withoutRank = false;
};
std::vector<RankLine> rankLines(const std::vector<ComparedRun>& runs, const QString& choice);

// Rows × columns of mean ± sd over seeds, the best of each column in bold, as papers print it.
struct PaperOptions {
  QStringList rowKeys = {QStringLiteral("method"), QStringLiteral("rank")};
  QString columnKey = QStringLiteral("data");
  QString score = QStringLiteral("best");
  bool percent = false;   // × 100, for shares
  int decimals = -1;      // -1: by the spread
};
struct PaperTable {
  TextTable text;                        // with "±"
  std::vector<std::vector<int>> counts;  // runs behind each cell
  QString note;                          // what the figures are
};
PaperTable paperTable(const std::vector<ComparedRun>& runs, const PaperOptions& options);

// Set to two or more values among the runs; otherwise an option that only some of the methods have, and one value where
// they have it: a consequence of the method, not a difference of its own.
bool realDifference(const RunDifference& difference);
// "LoRA r8 and RefLoRA r8 differ in method and learning rate (1e-4, 2e-4)." Values named when there are few;
// only real differences.
QString differenceSentence(const std::vector<ComparedRun>& runs, const std::vector<RunDifference>& differences);
QString optionTitle(const QString& key);

}  // namespace rankscope::ui

#pragma once
// The columns that the table of runs can show: fixed ones, and one per metric ("metric:eval/accuracy"). Each knows its
// title, the sort key the store understands, and how a row is shown and copied. Plain values.

#include "core/store/run_types.h"

#include <QString>
#include <QVariant>

#include <vector>

namespace rankscope::ui {

struct RunColumn {
  QString id;          // stable, remembered
  QString title;
  QString help;        // tool tip of the header
  QString sortKey;     // "" = cannot be sorted
  int width = 90;      // widest it takes by itself; a picture's is its own
  bool number = false;
  bool defaultShown = false;
  int least = 0;       // narrowest, for texts that may be cut short where room is scarce; 0 = as wide as its contents
};

const std::vector<RunColumn>& fixedRunColumns();
RunColumn metricColumn(const QString& metric);
// A fixed or metric column by id; an unknown id gives a column with an empty id.
RunColumn runColumnById(const QString& id);

QString runColumnText(const RunRow& row, const QString& id);   // on screen, by locale
QString runColumnPlain(const RunRow& row, const QString& id);  // for copying
double runColumnValue(const RunRow& row, const QString& id);   // NaN where it is not a number
QString runToolTip(const RunRow& row, const QString& id);

// The value that decides "best" and its name in short: "accuracy 0.874".
QString shortMetric(const QString& metric);                    // "eval/accuracy" -> "accuracy"

}  // namespace rankscope::ui

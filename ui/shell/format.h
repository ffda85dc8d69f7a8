#pragma once
// Numbers, times and sizes as people read them, in the locale of the screen. Never for files: those get plain numbers.

#include <QString>

namespace rankscope::ui {

inline constexpr const char* kDash = "–";  // shown where a value is not known

QString formatNumber(double value, int significant = 4);  // 0.0001234 -> 1.234e-4, 12.34, 1,234; not finite -> "–"
QString plainNumber(double value, int significant = 6);   // with a point and no grouping: for copying
QString formatCompact(double count);                      // 950, 12.3k, 4.5M
QString formatInteger(qint64 value);                      // grouped
QString formatBytes(double bytes);                        // 1.5 GB (decimal units)
QString formatDuration(double seconds);                   // 8.2 s, 4 min 12 s, 3 h 05 min, 2 d 4 h
QString formatShare(double share);                        // 0.0123 -> 1.23 %
QString formatMeanSd(double mean, double sd, int decimals);
QString formatWhen(double unixSeconds);                   // 14:05 today, Tue 14:05 this week, else the date
QString formatWhenLong(double unixSeconds);
QString formatPath(const QString& path);                  // ~/… below the user's own folder

}  // namespace rankscope::ui

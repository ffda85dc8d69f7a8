#include "ui/shell/format.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QDir>
#include <QLocale>

#include <cmath>

namespace rankscope::ui {

namespace {

QString tr(const char* text) { return QCoreApplication::translate("Format", text); }
QString dash() { return QString::fromUtf8(kDash); }

// "1.234e-05" -> "1.234e-5"
QString shortExponent(QString text) {
  const qsizetype e = text.indexOf(QLatin1Char('e'));
  if (e < 0) return text;
  QString mantissa = text.left(e), exponent = text.mid(e + 1);
  const bool negative = exponent.startsWith(QLatin1Char('-'));
  exponent.remove(QLatin1Char('-')).remove(QLatin1Char('+'));
  while (exponent.size() > 1 && exponent.startsWith(QLatin1Char('0'))) exponent.remove(0, 1);
  return mantissa + QLatin1Char('e') + (negative ? QStringLiteral("-") : QString()) + exponent;
}

QString withUnit(double value, int decimals, const QString& unit) {
  return QLocale().toString(value, 'f', decimals) + QChar(0x00a0) + unit;
}

}  // namespace

QString formatNumber(double value, int significant) {
  if (!std::isfinite(value)) return std::isinf(value) ? (value > 0 ? QStringLiteral("∞") : QStringLiteral("−∞")) : dash();
  if (value == 0) return QStringLiteral("0");
  const double magnitude = std::abs(value);
  const QLocale locale;
  if (magnitude < 1e-3 || magnitude >= 1e7) return shortExponent(locale.toString(value, 'e', significant - 1));
  if (magnitude < 0.1) {  // zeros behind the point are no digits that count, nor are those at the end
    QString text = locale.toString(value, 'f', significant - 1 - static_cast<int>(std::floor(std::log10(magnitude))));
    while (text.endsWith(locale.zeroDigit())) text.chop(1);
    return text;
  }
  const int before = std::max(1, static_cast<int>(std::floor(std::log10(magnitude))) + 1);
  const bool whole = value == std::floor(value);
  return locale.toString(value, 'f', whole ? 0 : std::clamp(significant - before, 0, 6));
}

QString plainNumber(double value, int significant) {
  if (!std::isfinite(value)) return {};
  return QString::number(value, 'g', significant);
}

QString formatCompact(double count) {
  if (!std::isfinite(count)) return dash();
  const double magnitude = std::abs(count);
  const QLocale locale;
  struct Unit { double size; const char* suffix; };
  for (const Unit unit : {Unit{1e12, "T"}, Unit{1e9, "G"}, Unit{1e6, "M"}, Unit{1e3, "k"}}) {
    if (magnitude < unit.size * 0.9995) continue;
    const double v = count / unit.size;
    const int decimals = std::abs(v) >= 100 || v == std::floor(v) ? 0 : std::abs(v) >= 10 ? 1 : 2;
    return locale.toString(v, 'f', decimals) + QLatin1String(unit.suffix);
  }
  return formatNumber(count, 3);
}

QString formatInteger(qint64 value) { return QLocale().toString(value); }

QString formatBytes(double bytes) {
  if (!std::isfinite(bytes)) return dash();
  const double magnitude = std::abs(bytes);
  if (magnitude >= 1e9) return withUnit(bytes / 1e9, magnitude >= 1e11 ? 0 : magnitude >= 1e10 ? 1 : 2, tr("GB"));
  if (magnitude >= 1e6) return withUnit(bytes / 1e6, magnitude >= 1e8 ? 0 : 1, tr("MB"));
  if (magnitude >= 1e3) return withUnit(bytes / 1e3, magnitude >= 1e5 ? 0 : 1, tr("kB"));
  return withUnit(bytes, 0, tr("B"));
}

QString formatDuration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return dash();
  if (seconds < 1e-3) return withUnit(seconds * 1e6, 0, tr("µs"));
  if (seconds < 1) return withUnit(seconds * 1e3, seconds < 0.01 ? 1 : 0, tr("ms"));
  if (seconds < 60) return withUnit(seconds, seconds < 10 ? 1 : 0, tr("s"));
  const auto whole = static_cast<qint64>(std::llround(seconds));
  if (whole < 3600) return QCoreApplication::translate("Format", "%1 min %2 s").arg(whole / 60).arg(whole % 60, 2, 10, QLatin1Char('0'));
  if (whole < 86400) return tr("%1 h %2 min").arg(whole / 3600).arg(whole % 3600 / 60, 2, 10, QLatin1Char('0'));
  return tr("%1 d %2 h").arg(whole / 86400).arg(whole % 86400 / 3600);
}

QString formatShare(double share) {
  if (!std::isfinite(share)) return dash();
  const double percent = share * 100;
  const int decimals = percent >= 10 || percent == 0 ? 1 : percent >= 1 ? 2 : 3;
  return QLocale().toString(percent, 'f', decimals) + QStringLiteral("\u00a0%");
}

QString formatMeanSd(double mean, double sd, int decimals) {
  if (!std::isfinite(mean)) return dash();
  const QLocale locale;
  const QString text = locale.toString(mean, 'f', decimals);
  return std::isfinite(sd) ? text + QStringLiteral(" ± ") + locale.toString(sd, 'f', decimals) : text;
}

QString formatWhen(double unixSeconds) {
  if (!std::isfinite(unixSeconds) || unixSeconds <= 0) return dash();
  const QDateTime when = QDateTime::fromMSecsSinceEpoch(static_cast<qint64>(unixSeconds * 1000));
  const QDate today = QDate::currentDate();
  const QLocale locale;
  const qint64 days = when.date().daysTo(today);
  const QString time = locale.toString(when.time(), QStringLiteral("HH:mm"));
  if (days == 0) return time;
  if (days > 0 && days < 7) return locale.toString(when.date(), QStringLiteral("ddd ")) + time;
  return locale.toString(when.date(), when.date().year() == today.year() ? QStringLiteral("d MMM ") : QStringLiteral("d MMM yyyy ")) + time;
}

QString formatPath(const QString& path) {
  const QString home = QDir::homePath();
  return path.startsWith(home + QLatin1Char('/')) ? QLatin1Char('~') + path.mid(home.size()) : path;
}

QString formatWhenLong(double unixSeconds) {
  if (!std::isfinite(unixSeconds) || unixSeconds <= 0) return dash();
  return QLocale().toString(QDateTime::fromMSecsSinceEpoch(static_cast<qint64>(unixSeconds * 1000)), QLocale::ShortFormat);
}

}  // namespace rankscope::ui

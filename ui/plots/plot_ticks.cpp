#include "ui/plots/plot_ticks.h"

#include "ui/shell/format.h"

#include <array>
#include <cmath>

namespace rankscope::ui {

double NumberTicker::getTickStep(const QCPRange& range) {
  m_step = QCPAxisTicker::getTickStep(range);
  return m_step;
}

// As many decimals as the distance of ticks asks for, so that neighbours never read the same.
QString NumberTicker::getTickLabel(double tick, const QLocale& locale, QChar, int) {
  if (std::abs(tick) < m_step * 1e-6) return QStringLiteral("0");
  const double magnitude = std::max(std::abs(tick), m_step);
  double unit = 1;
  QString suffix;
  if (m_compact || magnitude >= 1e5) {
    if (magnitude >= 1e9) unit = 1e9, suffix = QStringLiteral("G");
    else if (magnitude >= 1e6) unit = 1e6, suffix = QStringLiteral("M");
    else if (magnitude >= (m_compact ? 1e3 : 1e5)) unit = 1e3, suffix = QStringLiteral("k");
  }
  if (magnitude < 1e-3) {
    QString text = locale.toString(tick, 'e', 1);
    text.replace(QStringLiteral(".0e"), QStringLiteral("e")).replace(QStringLiteral("e-0"), QStringLiteral("e-"));
    return text;
  }
  int decimals = 0;  // until the distance of ticks is written exactly: 0.25 needs two
  for (double step = m_step / unit; decimals < 6 && std::abs(step - std::round(step)) > 1e-6 * step; step *= 10) ++decimals;
  return locale.toString(tick / unit, 'f', decimals) + suffix;
}

double DurationTicker::getTickStep(const QCPRange& range) {
  static constexpr std::array<double, 19> kSteps = {0.1, 0.2,  0.5,  1,    2,    5,     10,    15,    30,   60,
                                                    120, 300,  600,  900,  1800, 3600,  7200,  21600, 86400};
  const double exact = range.size() / std::max(1, tickCount());
  m_step = exact;
  for (const double step : kSteps) {
    if (step < exact) continue;
    m_step = step;
    return m_step;
  }
  m_step = 86400 * std::ceil(exact / 86400);
  return m_step;
}

QString DurationTicker::getTickLabel(double tick, const QLocale& locale, QChar, int) {
  if (tick == 0) return QStringLiteral("0");
  if (m_step < 60 && std::abs(tick) < 120) return locale.toString(tick, 'f', m_step < 1 ? 1 : 0) + QStringLiteral(" s");
  const auto whole = static_cast<qint64>(std::llround(std::abs(tick)));
  const QString sign = tick < 0 ? QStringLiteral("−") : QString();
  const auto two = [](qint64 v) { return QStringLiteral("%1").arg(v, 2, 10, QLatin1Char('0')); };
  if (whole >= 86400 && m_step >= 3600)
    return sign + QStringLiteral("%1 d %2 h").arg(whole / 86400).arg(whole % 86400 / 3600);
  if (whole >= 3600) return sign + QStringLiteral("%1:%2 h").arg(whole / 3600).arg(two(whole % 3600 / 60));
  if (m_step >= 60) return sign + QStringLiteral("%1 min").arg(whole / 60);
  return sign + QStringLiteral("%1:%2").arg(whole / 60).arg(two(whole % 60));
}

double LogTicker::getTickStep(const QCPRange& range) {
  m_narrow = range.lower > 0 && range.upper / range.lower < 20;
  if (!m_narrow) {
    // Every decade while there is room, else every second, third, …
    const double decades = std::log10(std::max(range.upper, 1e-300) / std::max(range.lower, 1e-300));
    setLogBase(std::pow(10, std::max(1.0, std::ceil(decades / 8))));
    return QCPAxisTickerLog::getTickStep(range);
  }
  return QCPAxisTicker::getTickStep(range);
}

int LogTicker::getSubTickCount(double step) {
  return m_narrow ? 0 : (logBase() > 10 ? 0 : QCPAxisTickerLog::getSubTickCount(step));
}

// QCustomPlot's own log ticker leaves a range within one decade without labels.
QVector<double> LogTicker::createTickVector(double step, const QCPRange& range) {
  if (!m_narrow) return QCPAxisTickerLog::createTickVector(step, range);
  QVector<double> ticks;
  const double ratio = range.upper / range.lower;
  if (ratio < 3) return QCPAxisTicker::createTickVector(step, range);
  const double decade = std::pow(10, std::floor(std::log10(range.lower)));
  for (double base = decade; base <= range.upper; base *= 10)
    for (const double digit : {1.0, 2.0, 5.0})
      if (base * digit >= range.lower && base * digit <= range.upper) ticks.push_back(base * digit);
  return ticks.size() < 2 ? QCPAxisTicker::createTickVector(step, range) : ticks;
}

QString LogTicker::getTickLabel(double tick, const QLocale& locale, QChar, int) {
  if (!m_compact && tick > 0.05 && tick < 1) return locale.toString(tick, 'g', 3);  // 0.1, not 0.10
  return m_compact ? formatCompact(tick) : formatNumber(tick, 3);
}

QVector<double> FixedTicker::createTickVector(double, const QCPRange& range) {
  QVector<double> ticks;
  for (const double place : m_places)
    if (place >= range.lower && place <= range.upper) ticks.push_back(place);
  return ticks;
}

QString FixedTicker::getTickLabel(double tick, const QLocale&, QChar, int) { return formatNumber(tick, 4); }

QSharedPointer<QCPAxisTicker> tickerForX(XAxis axis, bool log) {
  QSharedPointer<QCPAxisTicker> ticker;
  if (log)
    ticker.reset(new LogTicker(axis == XAxis::Step || axis == XAxis::Tokens));
  else if (axis == XAxis::Time)
    ticker.reset(new DurationTicker);
  else
    ticker.reset(new NumberTicker(axis != XAxis::Epoch));
  ticker->setTickCount(6);
  return ticker;
}

QSharedPointer<QCPAxisTicker> tickerForY(bool log) {
  QSharedPointer<QCPAxisTicker> ticker;
  if (log)
    ticker.reset(new LogTicker(false));
  else
    ticker.reset(new NumberTicker(false));
  ticker->setTickCount(4);
  return ticker;
}

QString formatX(XAxis axis, double value) {
  switch (axis) {
    case XAxis::Time: return formatDuration(value);
    case XAxis::Epoch: return formatNumber(value, 4);
    case XAxis::Tokens: return formatCompact(value);
    case XAxis::Step: break;
  }
  return value == std::floor(value) ? formatInteger(static_cast<qint64>(value)) : formatNumber(value, 5);
}

}  // namespace rankscope::ui

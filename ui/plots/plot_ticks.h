#pragma once
// Where ticks stand and how they are written: compact counts, durations, and log axes that keep useful ticks when less than
// a decade is in view.

#include "ui/plots/plot.h"
#include "ui/plots/qcp.h"

namespace rankscope::ui {

// Linear ticks with labels as people read them; `compact` for counts of steps and tokens.
class NumberTicker : public QCPAxisTicker {
 public:
  explicit NumberTicker(bool compact) : m_compact(compact) {}

 protected:
  QString getTickLabel(double tick, const QLocale& locale, QChar format, int precision) override;
  double getTickStep(const QCPRange& range) override;

 private:
  bool m_compact;
  double m_step = 1;
};

class DurationTicker : public QCPAxisTicker {
 protected:
  double getTickStep(const QCPRange& range) override;
  QString getTickLabel(double tick, const QLocale& locale, QChar format, int precision) override;

 private:
  double m_step = 1;
};

class LogTicker : public QCPAxisTickerLog {
 public:
  explicit LogTicker(bool compact) : m_compact(compact) { setSubTickCount(8); }

 protected:
  double getTickStep(const QCPRange& range) override;
  int getSubTickCount(double step) override;
  QVector<double> createTickVector(double step, const QCPRange& range) override;
  QString getTickLabel(double tick, const QLocale& locale, QChar format, int precision) override;

 private:
  bool m_compact;
  bool m_narrow = false;
};

// Ticks at given places only, as far as their labels do not touch.
class FixedTicker : public QCPAxisTicker {
 public:
  explicit FixedTicker(std::vector<double> places) : m_places(std::move(places)) {}

 protected:
  QVector<double> createTickVector(double step, const QCPRange& range) override;
  int getSubTickCount(double) override { return 0; }
  QString getTickLabel(double tick, const QLocale& locale, QChar format, int precision) override;

 private:
  std::vector<double> m_places;
};

QSharedPointer<QCPAxisTicker> tickerForX(XAxis axis, bool log);
QSharedPointer<QCPAxisTicker> tickerForY(bool log);
QString formatX(XAxis axis, double value);  // in the cursor's readout

}  // namespace rankscope::ui

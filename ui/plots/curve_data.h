#pragma once
// The points of one curve as a plot holds them: columns as given, x of the chosen axis made non-decreasing, and the
// min/max trees of the value, its smoothed version and its band. Plain data; belongs to the GUI thread, except that
// smoothed() may be computed elsewhere from a snapshot.

#include "ui/plots/min_max_tree.h"
#include "ui/plots/plot.h"

#include <memory>
#include <optional>

namespace rankscope::ui {

// Exponential moving average with bias correction (Adam's, eq. 3 of Kingma & Ba): s_t = w·s_{t-1} + (1-w)·y_t, shown is
// s_t / (1 - w^t). Values that are not finite stay gaps and do not enter.
struct Smoother {
  double weight = 0;
  double state = 0;
  double correction = 1;  // w^t
  double next(double value) {
    if (!std::isfinite(value)) return std::numeric_limits<double>::quiet_NaN();
    state = weight * state + (1 - weight) * value;
    correction *= weight;
    return state / (1 - correction);
  }
};

struct SmoothedCurve {
  Smoother smoother;
  std::vector<double> y;
  MinMaxTree tree;
  void grow(const std::vector<double>& raw);
};

class CurveData {
 public:
  void set(CurvePoints points);
  void append(const CurvePoints& more);
  void setAxis(XAxis axis);
  // 0 removes it.
  void setSmoothing(double weight);
  void adopt(std::shared_ptr<SmoothedCurve> smoothed);  // computed elsewhere; brought up to date here

  size_t size() const { return m_points.y.size(); }
  bool empty() const { return m_points.y.empty(); }
  const CurvePoints& points() const { return m_points; }
  const std::vector<double>& x() const { return *m_x; }
  const std::vector<double>& y() const { return m_points.y; }
  const MinMaxTree& tree() const { return m_tree; }
  const SmoothedCurve* smoothed() const { return m_smoothed.get(); }
  bool hasBand() const { return !m_points.lower.empty(); }
  const MinMaxTree& lowerTree() const { return m_lowerTree; }
  const MinMaxTree& upperTree() const { return m_upperTree; }
  quint64 version() const { return m_version; }

  // [first index with x >= lower, first index with x > upper)
  std::pair<size_t, size_t> indexRange(double lower, double upper) const;
  // Value extent of the points in an index range: the band counts; with smoothing on, raw or smoothed by choice.
  Extent extent(size_t begin, size_t end, bool smoothedOnly) const;
  // Index of the point nearest in x that has a finite value; none if there is none.
  std::optional<size_t> nearest(double x) const;

 private:
  const std::vector<double>& column(XAxis axis) const;
  void refreshX();
  CurvePoints m_points;
  XAxis m_axis = XAxis::Step;
  const std::vector<double>* m_x = &m_points.step;
  std::vector<double> m_fixedX;  // used when the column decreases somewhere or is shorter than y
  MinMaxTree m_tree, m_lowerTree, m_upperTree;
  std::shared_ptr<SmoothedCurve> m_smoothed;
  quint64 m_version = 0;

 public:
  CurveData() = default;
  CurveData(const CurveData&) = delete;  // m_x points into m_points
  CurveData& operator=(const CurveData&) = delete;
};

}  // namespace rankscope::ui

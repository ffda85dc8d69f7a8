#include "ui/plots/curve_data.h"

namespace rankscope::ui {

namespace {

void extend(std::vector<double>& to, const std::vector<double>& more) { to.insert(to.end(), more.begin(), more.end()); }

}  // namespace

void SmoothedCurve::grow(const std::vector<double>& raw) {
  y.reserve(raw.size());
  for (size_t i = y.size(); i < raw.size(); ++i) y.push_back(smoother.next(raw[i]));
  tree.grow(y);
}

void CurveData::set(CurvePoints points) {
  m_points = std::move(points);
  const size_t n = m_points.y.size();
  if (m_points.lower.size() != n || m_points.upper.size() != n) {
    m_points.lower.clear();
    m_points.upper.clear();
  }
  m_tree.rebuild(m_points.y);
  m_lowerTree.rebuild(m_points.lower);
  m_upperTree.rebuild(m_points.upper);
  const double weight = m_smoothed ? m_smoothed->smoother.weight : 0;
  m_smoothed.reset();
  refreshX();
  setSmoothing(weight);
  ++m_version;
}

void CurveData::append(const CurvePoints& more) {
  if (more.y.empty()) return;
  const bool band = hasBand() || (empty() && !more.lower.empty());
  extend(m_points.step, more.step);
  extend(m_points.epoch, more.epoch);
  extend(m_points.tokens, more.tokens);
  extend(m_points.seconds, more.seconds);
  extend(m_points.y, more.y);
  m_tree.grow(m_points.y);
  if (band && more.lower.size() == more.y.size() && more.upper.size() == more.y.size()) {
    extend(m_points.lower, more.lower);
    extend(m_points.upper, more.upper);
    m_lowerTree.grow(m_points.lower);
    m_upperTree.grow(m_points.upper);
  } else {
    m_points.lower.clear();
    m_points.upper.clear();
  }
  if (m_smoothed) m_smoothed->grow(m_points.y);
  refreshX();
  ++m_version;
}

const std::vector<double>& CurveData::column(XAxis axis) const {
  switch (axis) {
    case XAxis::Epoch: return m_points.epoch;
    case XAxis::Tokens: return m_points.tokens;
    case XAxis::Time: return m_points.seconds;
    case XAxis::Step: break;
  }
  return m_points.step;
}

// Bisection needs an x that does not decrease. Columns of a store never do; those of a foreign file might, and a column
// may be missing altogether.
void CurveData::refreshX() {
  const size_t n = m_points.y.size();
  const std::vector<double>* source = &column(m_axis);
  if (source->size() != n) source = &m_points.step;
  const bool usable = source->size() == n && std::is_sorted(source->begin(), source->end()) &&
                      (n == 0 || (std::isfinite(source->front()) && std::isfinite(source->back())));
  if (usable) {
    m_x = source;
    m_fixedX.clear();
    return;
  }
  m_fixedX.resize(n);
  double last = 0;
  for (size_t i = 0; i < n; ++i) {
    const double value = i < source->size() ? (*source)[i] : static_cast<double>(i);
    if (std::isfinite(value) && (i == 0 || value > last)) last = value;
    m_fixedX[i] = last;
  }
  m_x = &m_fixedX;
}

void CurveData::setAxis(XAxis axis) {
  if (axis == m_axis) return;
  m_axis = axis;
  refreshX();
  ++m_version;
}

void CurveData::setSmoothing(double weight) {
  if (weight <= 0) {
    if (m_smoothed) ++m_version;
    m_smoothed.reset();
    return;
  }
  auto smoothed = std::make_shared<SmoothedCurve>();
  smoothed->smoother.weight = weight;
  adopt(std::move(smoothed));
}

void CurveData::adopt(std::shared_ptr<SmoothedCurve> smoothed) {
  m_smoothed = std::move(smoothed);
  m_smoothed->grow(m_points.y);
  ++m_version;
}

std::pair<size_t, size_t> CurveData::indexRange(double lower, double upper) const {
  const auto begin = std::lower_bound(m_x->begin(), m_x->end(), lower);
  const auto end = std::upper_bound(begin, m_x->end(), upper);
  return {static_cast<size_t>(begin - m_x->begin()), static_cast<size_t>(end - m_x->begin())};
}

Extent CurveData::extent(size_t begin, size_t end, bool smoothedOnly) const {
  if (smoothedOnly && m_smoothed) return m_smoothed->tree.extent(m_smoothed->y, begin, end);
  Extent result = m_tree.extent(m_points.y, begin, end);
  if (hasBand()) {
    result.add(m_lowerTree.extent(m_points.lower, begin, end));
    result.add(m_upperTree.extent(m_points.upper, begin, end));
  }
  return result;
}

std::optional<size_t> CurveData::nearest(double x) const {
  if (empty()) return std::nullopt;
  const auto at = static_cast<qsizetype>(std::lower_bound(m_x->begin(), m_x->end(), x) - m_x->begin());
  const auto n = static_cast<qsizetype>(size());
  // Walks outwards past gaps, but not through a whole curve of them.
  constexpr qsizetype kReach = 4096;
  qsizetype left = at - 1, right = at;
  for (qsizetype i = 0; i < kReach && (left >= 0 || right < n); ++i) {
    const double dl = left >= 0 ? x - (*m_x)[static_cast<size_t>(left)] : std::numeric_limits<double>::infinity();
    const double dr = right < n ? (*m_x)[static_cast<size_t>(right)] - x : std::numeric_limits<double>::infinity();
    const auto index = static_cast<size_t>(dl <= dr ? left-- : right++);
    if (std::isfinite(m_points.y[index])) return index;
  }
  return std::nullopt;
}

}  // namespace rankscope::ui

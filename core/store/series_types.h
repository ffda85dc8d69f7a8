#pragma once
// Curves of a run as the store returns them. Columns are parallel; a value that was not finite is NaN. Points stand in
// the order in which they were logged; steps, tokens and seconds do not decrease.

#include <cstdint>
#include <string>
#include <vector>

#include "core/store/pyramid.h"

namespace rankscope {

// Layout of the unpacked tail in the store: five columns of eight bytes.
struct SeriesPoint {
  int64_t step = 0;
  double epoch = 0;
  int64_t tokens = 0;
  double seconds = 0;
  double value = 0;
};

static_assert(sizeof(SeriesPoint) == 40);

struct Series {
  std::string name;
  std::vector<int64_t> steps;
  std::vector<double> epochs;
  std::vector<int64_t> tokens;
  std::vector<double> seconds;
  std::vector<double> values;
  size_t size() const { return values.size(); }
  std::vector<double> axis(Axis which) const;  // as doubles, for plotting
};

struct SeriesInfo {
  std::string name;
  int64_t count = 0;
  int64_t firstStep = 0, lastStep = 0;
  double first = 0, last = 0, min = 0, max = 0;  // of finite values; NaN without one
};

struct SeriesRange {
  Axis axis = Axis::Step;
  int64_t total = 0;            // points of the whole series
  int64_t pointsPerBlock = 1;   // level of the pyramid that was read: 1 = every point
  std::vector<Bucket> buckets;  // see SeriesPyramid::range; each exact over the points it names
};

}  // namespace rankscope

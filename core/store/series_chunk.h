#pragma once
// One packed chunk: how its columns stand in the blobs of series_chunks and axis_blocks. Functions that read the
// database run inside a transaction of it; damaged bytes are an ErrorException.

#include <string>
#include <string_view>
#include <vector>

#include "core/store/database.h"
#include "core/store/pyramid_build.h"
#include "core/store/series_types.h"

namespace rankscope {

inline constexpr int64_t kSmallChunk = 64, kMiddleChunk = 512, kLargeChunk = 4096;

std::string packAxis(const std::vector<SeriesPoint>& points);  // step, epoch, tokens, seconds
// First and last point of every `block` points.
std::vector<SeriesPoint> axisEnds(const std::vector<SeriesPoint>& points, size_t block);
std::vector<double> unpackAxis(std::string_view bytes, size_t count, Axis axis);
double axisOf(const SeriesPoint& point, Axis axis);

// Values of a level of the pyramid (first, last, min, max, sum, finite); axis and index come from elsewhere.
std::string packBlocks(const std::vector<Bucket>& blocks);
std::vector<Bucket> unpackBlocks(std::string_view bytes, size_t count);

std::vector<SeriesPoint> readTail(StoreDatabase& database, int64_t sid);
std::vector<SeriesPoint> readChunkPoints(StoreDatabase& database, int64_t sid, int64_t from, int64_t to);

}  // namespace rankscope

#pragma once
// What a start may ask of its surroundings while it is sought: somebody who is told how far it is and may want to leave, a
// place for what was costly to find, and batches of the training data. Given to a method before attach(); everything in it
// is optional. Used on the thread of attach().

#include <cstdint>
#include <functional>
#include <string>

#include "core/io/tensor_cache.h"
#include "core/models/batch.h"

namespace rankscope {

struct StartSupport {
  // `share` of the work named is done, 0 … 1. False: leave; attach() then fails with ErrorCode::Interrupted and the model
  // is not to be used any more.
  std::function<bool(const std::string& what, double share)> progress;
  TensorCache cache;
  // Batches for starts that look at gradients: packed as for training, by number from 0. Empty: there is no data.
  std::function<PackedBatch(int64_t number)> batch;
  int64_t batches = 0;
};

}  // namespace rankscope

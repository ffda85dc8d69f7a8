#include "core/methods/lora.h"

#include "core/methods/low_rank.h"

namespace rankscope {

double loraScaling(int64_t rank, double alpha) { return lowRankScaling(LowRankScaling::ByRank, rank, alpha); }
double roraScaling(int64_t rank, double alpha) { return lowRankScaling(LowRankScaling::ByRootRank, rank, alpha); }

std::unique_ptr<Method> makeLora(MethodSettings settings) {
  return std::make_unique<LowRankMethod>(std::move(settings), LowRankScaling::ByRank);
}

std::unique_ptr<Method> makeRora(MethodSettings settings) {
  return std::make_unique<LowRankMethod>(std::move(settings), LowRankScaling::ByRootRank);
}

}  // namespace rankscope

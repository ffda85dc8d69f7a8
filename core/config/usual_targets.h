#pragma once
// What method.target_modules stands for where it is empty. Read by core/methods and by the views. No torch.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rankscope {

struct TargetSite {
  std::string_view name, kind;
  int64_t layer = -1, in = 0, out = 0;
};

// The family's usual matrices for low-rank methods; the feed-forward maps for LLM-Adapters' forms, by their kind where that
// means no other map.
std::vector<std::string> usualTargets(std::string_view method, const std::vector<std::string>& familys,
                                      const std::vector<TargetSite>& sites);

}  // namespace rankscope

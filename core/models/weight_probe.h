#pragma once
// What loading a model would find in its folder, told from the headers alone: the same plan of parameters and the same
// names as loading, but nothing is allocated or read. For pickers and the library. Any thread.

#include <filesystem>
#include <string>
#include <vector>

#include "core/models/registry.h"

namespace rankscope {

struct WeightFit {
  std::vector<std::string> missing;    // "model.norm.weight [4096]"
  std::vector<std::string> misshapen;  // "x is [2, 3], not [4, 3]"
  std::vector<std::string> unused;     // tensors that the model with this head has no place for
  std::vector<std::string> newHead;    // parameters of the head that would be drawn anew
  bool fits() const { return missing.empty() && misshapen.empty(); }
};

// The error is that of loading: a config that cannot be used, weights that cannot be opened.
Result<WeightFit> probeWeights(const std::filesystem::path& folder, const nlohmann::json& config,
                               const ModelFamily& family, HeadKind head);

// While one lives, fillParameters() on this thread notes into it what it found instead of filling, and fails.
class HeadersOnly {
 public:
  HeadersOnly();
  ~HeadersOnly();
  HeadersOnly(const HeadersOnly&) = delete;
  HeadersOnly& operator=(const HeadersOnly&) = delete;
  static HeadersOnly* current();  // null: load for real

  WeightFit fit;
  bool looked = false;

 private:
  HeadersOnly* m_outer;
};

}  // namespace rankscope

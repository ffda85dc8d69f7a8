#include "core/spectrum/base_svd.h"

#include "core/io/tensor_cache.h"

namespace rankscope {
namespace {

// Whole decompositions in float64 are large; those of a model of a billion weights still fit.
constexpr uint64_t kCacheBytes = uint64_t{24} << 30;

// A vector and its negative are one singular direction; fixing the sign makes the cache independent of the library.
void fixSigns(BaseSvd& svd) {
  const at::Tensor largest = svd.U.gather(0, svd.U.abs().argmax(0).unsqueeze(0)).sign();
  svd.U = (svd.U * largest).contiguous();
  svd.V = (svd.V * largest).contiguous();
}

}  // namespace

BaseSvd computeBaseSvd(const at::Tensor& weight) {
  const auto [U, S, Vh] = at::linalg_svd(weight.to(at::kDouble), false);
  BaseSvd svd{U, S, Vh.t()};
  fixSigns(svd);
  return svd;
}

BaseSvd cachedBaseSvd(const at::Tensor& weight, const std::filesystem::path& cacheFolder) {
  const TensorCache cache(cacheFolder / "svd", kCacheBytes);
  Sha256 hash;
  updateTensor(hash, weight);
  const std::string key = hash.hex();
  const int64_t n = std::min(weight.size(0), weight.size(1));
  if (const auto stored = cache.load(key)) {
    const auto U = stored->find("U"), S = stored->find("S"), V = stored->find("V");
    if (U != stored->end() && S != stored->end() && V != stored->end() &&
        U->second.sizes() == at::IntArrayRef({weight.size(0), n}) && V->second.sizes() == at::IntArrayRef({weight.size(1), n}))
      return {U->second, S->second, V->second};
  }
  BaseSvd svd = computeBaseSvd(weight);
  cache.store(key, {{"U", svd.U}, {"S", svd.S}, {"V", svd.V}});
  return svd;
}

}  // namespace rankscope

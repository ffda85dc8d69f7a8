#include "core/spectrum/base_svd.h"

#include <fmt/format.h>

#include "core/io/safetensors.h"
#include "core/io/safetensors_writer.h"
#include "core/io/sha256.h"

namespace rankscope {
namespace {

std::string contentKey(const at::Tensor& weight) {
  const at::Tensor bytes = weight.to(at::kCPU).contiguous();
  Sha256 hash;
  hash.updateField(fmt::format("{}x{} {}", bytes.size(0), bytes.size(1), at::toString(bytes.scalar_type())));
  hash.update({static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
  return hash.hex();
}

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
  const std::filesystem::path file = cacheFolder / "svd" / (contentKey(weight) + ".safetensors");
  const int64_t n = std::min(weight.size(0), weight.size(1));
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) {
    if (const auto stored = SafetensorsFile::open(file)) {
      const auto U = (*stored)->tensor("U"), S = (*stored)->tensor("S"), V = (*stored)->tensor("V");
      if (U && S && V && U->sizes() == at::IntArrayRef({weight.size(0), n}) && S->sizes() == at::IntArrayRef({n}) &&
          V->sizes() == at::IntArrayRef({weight.size(1), n}) && U->scalar_type() == at::kDouble)
        return {*U, *S, *V};
    }
  }
  BaseSvd svd = computeBaseSvd(weight);
  std::filesystem::create_directories(file.parent_path(), ignored);
  // A cache that cannot be written only costs the time of the next computation.
  (void)writeSafetensors(file, {{"U", svd.U}, {"S", svd.S}, {"V", svd.V}});
  return svd;
}

}  // namespace rankscope

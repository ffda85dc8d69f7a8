#include "core/methods/starts/pissa.h"

#include <algorithm>
#include <tuple>

#include "core/methods/method_options.h"
#include "core/methods/seeded_start.h"

namespace rankscope {

namespace {

// More columns than asked for, so that the last ones converge as well.
constexpr int64_t kOversampling = 10;

struct Triplets {
  at::Tensor u, sigma, vh;  // [out, r], [r], [r, in]
};

Triplets wholeSvd(const at::Tensor& weight) {
  auto [u, sigma, vh] = at::linalg_svd(weight, /*full_matrices=*/false);
  return {u, sigma, vh};
}

at::Tensor orthonormalised(const at::Tensor& columns) { return std::get<0>(at::linalg_qr(columns)); }

// Halko, Martinsson and Tropp (2011), algorithm 5.3 with orthonormalisation in every round.
Triplets sketchedSvd(const at::Tensor& weight, int64_t rank, int64_t iterations, uint64_t seed,
                     const std::string& name) {
  const int64_t width = std::min(rank + kOversampling, std::min(weight.size(0), weight.size(1)));
  at::Tensor sketch = at::empty({weight.size(1), width}, weight.options());
  fillNormal(sketch, 1.0, seed, name);
  at::Tensor range = orthonormalised(weight.mm(sketch));
  for (int64_t i = 0; i < iterations; ++i) range = orthonormalised(weight.mm(orthonormalised(weight.t().mm(range))));
  Triplets small = wholeSvd(range.t().mm(weight));
  small.u = range.mm(small.u);
  return small;
}

class PissaStart final : public LowRankStart {
 public:
  explicit PissaStart(int64_t iterations) : m_iterations(iterations) {}

  bool changesBase() const override { return true; }
  bool followsFromWeight() const override { return true; }

  Result<void> check(const AdaptedSite& adapted) const override {
    const LinearSite& site = *adapted.site;
    if (!(adapted.scaling > 0))
      return Error{ErrorCode::Usage, "This start needs a scaling above 0", "method.alpha",
                   fmt::format("{} at {}", adapted.alpha, site.name), "more than 0",
                   "Choose an alpha such as the rank."};
    const int64_t most = std::min(site.inFeatures, site.outFeatures);
    if (adapted.rank <= most) return {};
    return Error{ErrorCode::Usage,
                 "The matrix has fewer singular values than the rank",
                 "method.rank",
                 fmt::format("{} at {}", adapted.rank, site.name),
                 fmt::format("at most {}", most),
                 "Lower the rank, or choose another start."};
  }

  void draw(AdaptedSite& adapted, uint64_t seed) const override {
    const at::NoGradGuard noGrad;
    const at::Tensor weight = adapted.site->denseWeight().to(adapted.a.scalar_type());
    const int64_t r = adapted.rank;
    Triplets svd = m_iterations > 0
                       ? sketchedSvd(weight, r, m_iterations, seed, adapted.site->name + ".pissa_sketch")
                       : wholeSvd(weight);
    const at::Tensor root = (svd.sigma.narrow(0, 0, r) / adapted.scaling).sqrt_();
    at::Tensor u = svd.u.narrow(1, 0, r), vh = svd.vh.narrow(0, 0, r);
    // A triplet's two vectors share a free sign: the largest entry of the right one is positive here.
    const at::Tensor sign = vh.gather(1, vh.abs().argmax(1, /*keepdim=*/true)).sign();
    adapted.a.copy_(vh * (root.unsqueeze(1) * sign));
    adapted.b.copy_(u * (root * sign.view(-1)));
  }

 private:
  int64_t m_iterations;
};

}  // namespace

Result<std::unique_ptr<LowRankStart>> makePissaStart(const MethodSettings& settings) {
  auto iterations = countOption(settings, "svd_iterations", 0, 0);
  if (!iterations) return iterations.error();
  return newPart<LowRankStart, PissaStart>(*iterations);
}

}  // namespace rankscope

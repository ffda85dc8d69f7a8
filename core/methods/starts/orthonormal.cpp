#include "core/methods/starts/orthonormal.h"

#include "core/methods/seeded_start.h"

namespace rankscope {

namespace {

class OrthonormalStart final : public LowRankStart {
 public:
  Result<void> check(const AdaptedSite& adapted) const override {
    const LinearSite& site = *adapted.site;
    if (adapted.rank <= site.inFeatures) return {};
    return Error{ErrorCode::Usage,
                 "So many rows cannot be orthonormal",
                 "method.rank",
                 fmt::format("{} at {}", adapted.rank, site.name),
                 fmt::format("at most {}, the inputs of this matrix", site.inFeatures),
                 "Lower the rank, or choose another start."};
  }

  void draw(AdaptedSite& adapted, uint64_t seed) const override {
    at::Tensor directions = at::empty({adapted.site->inFeatures, adapted.rank}, at::kDouble);
    fillNormal(directions, 1.0, seed, adapted.site->name + ".lora_A");
    // Columns by the sign of R's diagonal: a uniform choice among all orthonormal frames (Mezzadri, 2007).
    const auto [q, r] = at::linalg_qr(directions);
    adapted.a.copy_((q * r.diagonal().sign()).t());
    adapted.b.zero_();
  }
};

}  // namespace

Result<std::unique_ptr<LowRankStart>> makeOrthonormalStart(const MethodSettings&) {
  return newPart<LowRankStart, OrthonormalStart>();
}

}  // namespace rankscope

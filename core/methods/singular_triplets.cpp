#include "core/methods/singular_triplets.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <tuple>

#include "core/methods/seeded_start.h"

namespace rankscope {

namespace {

// More columns than asked for, so that the last ones converge as well.
constexpr int64_t kOversampling = 10;

Triplets wholeSvd(const at::Tensor& matrix) {
  auto [u, sigma, vh] = at::linalg_svd(matrix, /*full_matrices=*/false);
  return {u, sigma, vh};
}

at::Tensor orthonormalised(const at::Tensor& columns) { return std::get<0>(at::linalg_qr(columns)); }

// Halko, Martinsson and Tropp (2011), algorithm 5.3 with orthonormalisation in every round.
Triplets sketchedSvd(const at::Tensor& matrix, int64_t count, int64_t iterations, uint64_t seed,
                     const std::string& name) {
  const int64_t width = std::min(count + kOversampling, std::min(matrix.size(0), matrix.size(1)));
  at::Tensor sketch = at::empty({matrix.size(1), width}, matrix.options());
  fillNormal(sketch, 1.0, seed, name);
  at::Tensor range = orthonormalised(matrix.mm(sketch));
  for (int64_t i = 0; i < iterations; ++i) range = orthonormalised(matrix.mm(orthonormalised(matrix.t().mm(range))));
  Triplets small = wholeSvd(range.t().mm(matrix));
  small.u = range.mm(small.u);
  return small;
}

}  // namespace

Triplets leadingTriplets(const at::Tensor& matrix, int64_t count, int64_t iterations, uint64_t seed,
                         const std::string& name) {
  const at::NoGradGuard noGrad;
  Triplets all = iterations > 0 ? sketchedSvd(matrix, count, iterations, seed, name) : wholeSvd(matrix);
  const at::Tensor u = all.u.narrow(1, 0, count), vh = all.vh.narrow(0, 0, count);
  const at::Tensor sign = vh.gather(1, vh.abs().argmax(1, /*keepdim=*/true)).sign();
  return {u * sign.view(-1), all.sigma.narrow(0, 0, count).clone(), vh * sign};
}

Triplets cachedTriplets(const TensorCache& cache, const at::Tensor& matrix, int64_t count, int64_t iterations,
                        uint64_t seed, const std::string& name) {
  Sha256 hash;
  // The last bits depend on how the sums are shared among threads.
  hash.updateField(fmt::format("triplets 1: {} of, {} rounds, {} threads", count, iterations, at::get_num_threads()));
  if (iterations > 0) hash.updateField(fmt::format("{} {}", seed, name));
  updateTensor(hash, matrix);
  const std::string key = hash.hex();
  if (const auto kept = cache.load(key)) {
    const auto u = kept->find("u"), sigma = kept->find("sigma"), vh = kept->find("vh");
    if (u != kept->end() && sigma != kept->end() && vh != kept->end()) return {u->second, sigma->second, vh->second};
  }
  Triplets found = leadingTriplets(matrix, count, iterations, seed, name);
  cache.store(key, {{"u", found.u}, {"sigma", found.sigma}, {"vh", found.vh}});
  return found;
}

Result<void> checkTriplets(const AdaptedSite& adapted, int64_t count) {
  const LinearSite& site = *adapted.site;
  if (!(adapted.scaling > 0))
    return Error{ErrorCode::Usage, "This start needs a scaling above 0", "method.alpha",
                 fmt::format("{} at {}", adapted.alpha, site.name), "more than 0",
                 "Choose an alpha such as the rank."};
  const int64_t values = std::min(site.inFeatures, site.outFeatures);
  if (count <= values) return {};
  return Error{ErrorCode::Usage,
               "The matrix has fewer singular values than this start takes",
               "method.rank",
               fmt::format("{} at {}", adapted.rank, site.name),
               fmt::format("at most {}", values * adapted.rank / count),
               "Lower the rank, or choose another start."};
}

}  // namespace rankscope

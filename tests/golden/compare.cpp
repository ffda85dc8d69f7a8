#include "tests/golden/compare.h"

#include <cmath>
#include <limits>

namespace rankscope::golden {

namespace {

std::string shape(const at::Tensor& t) {
  std::string out;
  for (int64_t size : t.sizes()) out += (out.empty() ? "" : ", ") + std::to_string(size);
  return "[" + out + "]";
}

}  // namespace

void Findings::close(const std::string& what, const at::Tensor& got, const at::Tensor& expected,
                     const Tolerance& tolerance) {
  ++m_comparisons;
  const at::NoGradGuard noGrad;
  if (!got.defined() || got.sizes() != expected.sizes()) {
    fail(fmt::format("{}: shape {}, expected {}", what, got.defined() ? shape(got) : "of nothing", shape(expected)));
    return;
  }
  if (expected.numel() == 0) return;
  const at::Tensor want = expected.detach().to(at::kCPU, at::kDouble).reshape(-1);
  const at::Tensor have = got.detach().to(at::kCPU, at::kDouble).reshape(-1);
  const at::Tensor size = want.abs().nan_to_num_(0.0, 0.0);
  const at::Tensor allowed =
      (tolerance.relativeToLargest ? size.max().expand_as(size) : size) * tolerance.relative + tolerance.absolute;
  at::Tensor error = (have - want).abs();
  // NaN only equals NaN; an infinity its own sign.
  error.masked_fill_(have.isnan().logical_and(want.isnan()).logical_or(have.eq(want)), 0.0);
  error.nan_to_num_(std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity());
  const at::Tensor share = error / allowed.clamp_min(1e-300);
  const auto index = share.argmax().item<int64_t>();
  double worstShare = share[index].item<double>();
  int64_t counted = index;
  if (worstShare > 1 && tolerance.quantile99) {
    const auto sorted = std::get<1>(share.sort(/*dim=*/0, /*descending=*/true));
    counted = sorted[share.numel() / 100].item<int64_t>();
    worstShare = share[counted].item<double>();
  }
  const double worstError = error[counted].item<double>(), worstAllowed = allowed[counted].item<double>();
  if (worstShare > m_worstShare) {
    m_worstShare = worstShare;
    m_worstError = worstError;
    m_worstAllowed = worstAllowed;
    m_worstWhat = what;
  }
  if (!(worstShare <= 1))
    fail(fmt::format("{}: {:.3g} off, {:.3g} allowed (found {:.9g}, expected {:.9g})", what, worstError, worstAllowed,
                     have[counted].item<double>(), want[counted].item<double>()));
}

void Findings::close(const std::string& what, double got, double expected, const Tolerance& tolerance) {
  close(what, at::full({1}, got, at::kDouble), at::full({1}, expected, at::kDouble), tolerance);
}

void Findings::equal(const std::string& what, const at::Tensor& got, const at::Tensor& expected) {
  ++m_comparisons;
  if (got.sizes() != expected.sizes() || !at::equal(got, expected)) fail(what + ": not equal");
}

void Findings::equal(const std::string& what, int64_t got, int64_t expected) {
  ++m_comparisons;
  if (got != expected) fail(fmt::format("{}: found {}, expected {}", what, got, expected));
}

std::string Findings::worst() const {
  if (m_worstShare < 0) return fmt::format("{} exact comparisons", m_comparisons);
  return fmt::format("worst {:.2e} of {:.2e} allowed at {}", m_worstError, m_worstAllowed, m_worstWhat);
}

}  // namespace rankscope::golden

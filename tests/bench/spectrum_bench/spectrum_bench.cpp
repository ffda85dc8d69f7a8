// Intruder counts of a low-rank update, by structure against the naive way: full decompositions of the matrix before and
// after. Same machine, same threads, same numbers.
//
//   spectrum_bench [--shapes 1024x1024,2048x2048,4096x4096] [--rank 16] [--k 10] [--threads 0]

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>

#include <chrono>

#include "core/spectrum/site_spectrum.h"

using namespace rankscope;

namespace {

double secondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

at::Tensor orthogonal(int64_t rows, int64_t columns, at::Generator& generator) {
  return std::get<0>(at::linalg_qr(at::randn({rows, columns}, generator, at::TensorOptions(at::kDouble))));
}

// A matrix with the slowly falling spectrum of trained weights, and its decomposition.
BaseSvd decaying(int64_t out, int64_t in, at::Generator& generator) {
  const int64_t n = std::min(out, in);
  const at::Tensor place = at::arange(1, n + 1, at::kDouble);
  return {orthogonal(out, n, generator), 4 * place.pow(-0.35) * (1 - 0.5 * place / static_cast<double>(n)), orthogonal(in, n, generator)};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Spectra of low-rank updates against full decompositions");
  std::vector<std::string> shapes{"1024x1024", "2048x2048", "4096x4096"};
  int64_t rank = 16, k = 10;
  int threads = 0;
  bool fastOnly = false, whole = false, single = false;
  const auto shape = [](const std::string& text) {
    int out = 0, in = 0, read = 0;
    const bool complete = std::sscanf(text.c_str(), "%dx%d%n", &out, &in, &read) == 2 && read == static_cast<int>(text.size());
    return complete && out > 0 && in > 0 ? std::string() : text + " is not a shape such as 4096x11008";
  };
  app.add_option("--shapes", shapes, "out x in")->delimiter(',')->check(shape);
  app.add_option("--rank", rank);
  app.add_option("--k", k);
  app.add_option("--threads", threads);
  app.add_flag("--fast-only", fastOnly, "Leave out the full decompositions");
  app.add_flag("--whole", whole, "The same change as a full update, whose rank nobody knows");
  app.add_flag("--single", single, "The base's decomposition in float32, as the live probe of a run holds it");
  CLI11_PARSE(app, argc, argv);
  if (threads > 0) at::set_num_threads(threads);
  const at::NoGradGuard noGrad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(3);
  for (const std::string& size : shapes) {
    const int64_t out = std::stoll(size), in = std::stoll(size.substr(size.find('x') + 1));
    const BaseSvd base = decaying(out, in, generator);
    const at::ScalarType held = single ? at::kFloat : at::kDouble;
    const BaseSvd given{base.U.to(held), base.S.to(held), base.V.to(held)};
    const auto options = at::TensorOptions(at::kDouble);
    const at::Tensor A = at::randn({rank, in}, generator, options) / std::sqrt(static_cast<double>(in));
    const at::Tensor B = at::randn({out, rank}, generator, options) / std::sqrt(static_cast<double>(out)) * 2;
    MatrixChange change;
    if (whole) {
      change.before = (base.U * base.S).mm(base.V.t());
      change.after = change.before + B.mm(A);
    } else {
      change.A = A;
      change.B = B;
    }
    SiteSpectrum fast;
    double seconds = 1e300;
    for (int round = 0; round < 3; ++round)
      seconds = std::min(seconds, secondsOf([&] { fast = siteSpectrum(given, change, {.k = k, .allValuesUpTo = 0, .updateValues = false}); }));
    fmt::print("{} rank {} k {}: {:.1f} ms ({}, residual {:.1e}, {} intruders below 0.5)", size, rank, k, 1e3 * seconds,
               fast.algorithm, fast.residualBound, fast.intruders(0.5, k));
    std::fflush(stdout);
    if (!fastOnly) {
      const at::Tensor before = (base.U * base.S).mm(base.V.t()).to(at::kFloat), after = before + B.mm(A).to(at::kFloat);
      at::Tensor largest, sigma;
      const double naive = secondsOf([&] {
        const auto [U0, S0, V0] = at::linalg_svd(before, false);
        const auto [U, S, V] = at::linalg_svd(after, false);
        largest = std::get<0>(U0.t().mm(U.narrow(1, 0, k)).abs().max(0));
        sigma = S;
      });
      double worst = 0;
      for (int64_t i = 0; i < k; ++i)
        worst = std::max(worst, std::abs(largest[i].item<double>() - static_cast<double>(fast.maxCos[static_cast<size_t>(i)])));
      fmt::print("; two full decompositions {:.1f} s: {:.0f} times; largest cosines differ by {:.1e}", naive, naive / seconds, worst);
    }
    fmt::print("\n");
  }
  return 0;
}

#pragma once
// Intruder mitigation (Shuttleworth et al. 2024, section 5; PEFT's reduce_intruder_dimension): the intruders' share
// σ u vᵀ of W = W0 + ΔW is scaled from 1 to λ, so that less of what the base model knew is covered: ΔW' = ΔW + (λ − 1) Σ σ u vᵀ over
// those of W's `top` leading vectors whose largest |cos| with any left vector of W0 is below ε. λ = 1 leaves the adapter
// as it is.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/spectrum/method_spectrum.h"

namespace rankscope {

struct Intruders {
  at::Tensor left, sigma, right;  // [out, m], [m], [in, m] in the matrix's own coordinates; float64
  std::vector<int64_t> places;    // among W's leading vectors, from 0
  std::vector<double> cosines;    // their largest |cos|
  int64_t count() const { return static_cast<int64_t>(places.size()); }
};
// `change` of low rank and without magnitudes.
Intruders findIntruders(const BaseSvd& base, const MatrixChange& change, int64_t top = 10, double eps = 0.5);

// Factors of ΔW' for the change's own scaling, of rank r at most as PEFT truncates them, the singular values shared
// equally between both; A [r, in], B [out, r], the change's own factors where there is no intruder or λ is 1.
struct MitigatedFactors {
  at::Tensor A, B;
  double lost = 0;  // share of ‖ΔW'‖_F² that the truncation to rank r leaves out
};
MitigatedFactors mitigate(const MatrixChange& change, const Intruders& intruders, double lambda, int64_t rank);

// The intruders of every site of a method whose factors are plain tensors (LoRA and what trains it otherwise: RoRA,
// RefLoRA, QLoRA …; not DoRA's magnitudes, AdaLoRA's pruned triplets or a start that was taken out of W0), and writing their mitigation
// into the method's own factors. What the factors were is kept here.
class Mitigation {
 public:
  static Result<Mitigation> make(const Method& method, const std::filesystem::path& cache, int64_t top, double eps,
                                 const std::function<bool(int64_t, int64_t, const std::string&)>& progress);

  struct Site {
    ChangedSite changed;
    MatrixChange change;  // with factors of its own memory
    Intruders intruders;
  };
  const std::vector<Site>& sites() const { return m_sites; }
  int64_t intruders() const;  // of all sites

  // λ = 1: as trained. Returns the largest share that the truncation to the adapters' rank left out.
  double write(double lambda) const;
  void writeZero() const;  // the base model

 private:
  std::vector<Site> m_sites;
};

}  // namespace rankscope

#pragma once
// A frozen weight [outs, in] as the packed right operand of its two products, panel by panel, from bfloat16 memory or
// from 4 bits. A 4-bit weight is never whole: one panel's values are made in the thread's own memory and packed.

#include "kernels/cpu/packed_products.h"
#include "kernels/four_bit_format.h"

#include <vector>

namespace rankscope::kernels::cpu {

class FrozenPanels {
 public:
  static constexpr size_t kSlot = 8;  // of the thread's workspace, beside those of the products
  FrozenPanels(const simd::Bf16* plain, int64_t outs, int64_t in) : m_outs(outs), m_in(in), m_plain(plain) {}
  // One below the other.
  struct Coded {
    four_bit::View values;
    int64_t rows;
  };
  FrozenPanels(std::vector<Coded> coded, int64_t outs, int64_t in) : m_outs(outs), m_in(in), m_coded(std::move(coded)) {}

  int64_t outs() const { return m_outs; }
  int64_t in() const { return m_in; }
  // Panels begin … end of Wᵀ in x Wᵀ (n = outs, k = in), and of W in gradY W (n = in, k = outs).
  void packForward(int64_t begin, int64_t end, simd::Bf16* out) const;
  void packBackward(int64_t begin, int64_t end, simd::Bf16* out) const;

 private:
  int64_t m_outs, m_in;
  const simd::Bf16* m_plain = nullptr;
  std::vector<Coded> m_coded;
};

}  // namespace rankscope::kernels::cpu
